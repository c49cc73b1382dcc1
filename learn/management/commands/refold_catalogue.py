"""`manage.py refold_catalogue`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import DEFAULT_DB_ALIAS

from learn.models import Category, Course, Field
from learn.refolding import renew


class Command(BaseCommand):
    """Renew the columns that order and search the catalogue."""

    help = (
        "Fold titles and texts again for order, search and identity, as the migration did: for rows that an "
        "older server wrote after it. Others stay as they are. It may be interrupted and repeated."
    )

    def handle(self, **options: Any) -> None:
        """Renew all rows, and print how many were changed."""
        changed = renew((Category, Field, Course), DEFAULT_DB_ALIAS, self.stdout.write)
        self.stdout.write(f"{changed} rows renewed.")
