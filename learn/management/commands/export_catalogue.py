"""`manage.py export_catalogue DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from learn.exporting import export, formulas_in


class Command(BaseCommand):
    """Write the catalogue to files."""

    help = (
        "Write the whole catalogue, drafts too, to DIR: categories.json, fields.json and courses.json "
        "for loaddata, and courses.csv for import_catalogue."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the directory."""
        parser.add_argument("directory", metavar="DIR", type=Path, help="made when it is missing")

    def handle(self, *, directory: Path, **options: Any) -> None:
        """Write the files, and print the number of rows in each."""
        try:
            written = export(directory)
            formulas = formulas_in(directory / "courses.csv")
        except DatabaseError as error:
            raise CommandError(f"The database cannot be read: {error}", returncode=2) from error
        except OSError as error:
            raise CommandError(f"{error.filename or directory}: {error.strerror}.", returncode=2) from error
        for name, count in written.items():
            self.stdout.write(f"{directory / name}: {count} rows")
        if formulas:
            self.stderr.write(
                f"{directory / 'courses.csv'}: {formulas} cells begin as formulas do (=, +, -, @, a tab) and "
                "were left as they are, for import_catalogue. Open the file in a spreadsheet as text."
            )
