"""Columns that compare and order the same on every database."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class BytewiseCharField(models.CharField):  # type: ignore[type-arg]
    """Hold text that is ordered by code point.

    SQLite orders so by itself. PostgreSQL is told to, since its ICU collations order `a b, a-c, ab, c#`
    differently. The column says so, and not a migration, so that a later change of its length keeps it.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Return the column's type, on PostgreSQL with the collation "C"."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters
