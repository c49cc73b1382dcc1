"""`manage.py import_catalogue FILE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from tqdm import tqdm

from learn.importing.errors import UnreadableError
from learn.importing.layout import COLUMNS, Layout, normalised
from learn.importing.report import SHOWN, Report, printable, reporting
from learn.importing.run import Options, import_file

ALL_IN, SOME_REJECTED, NOTHING_READ = range(3)


class Command(BaseCommand):
    """Store the courses of a file."""

    help = (
        "Store the courses of FILE: new ones are created, known ones (same provider and code, or same field "
        f"and title) updated. Columns: {', '.join(COLUMNS)}; title and field are required. "
        "Exit status: 0 all rows went in, 1 some were rejected, 2 nothing could be read. "
        "docs/importing.md shows it for files of several sources."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file, how to read it and what to do with it."""
        parser.add_argument("file", metavar="FILE", type=Path, help="text: CSV, a JSON array or JSON lines")
        parser.add_argument(
            "--format", choices=["csv", "json"], help="default: by the file's first character"
        )
        parser.add_argument(
            "--encoding",
            metavar="NAME",
            help="how the text is encoded, for example windows-1250; default: by the file's bytes",
        )
        parser.add_argument(
            "--rows",
            metavar="NAME",
            default="",
            help="read the rows of a JSON file from the list of this name, for example results or data.items",
        )
        parser.add_argument(
            "--columns", metavar="A,B,…", help="names of the columns of a file without a header"
        )
        parser.add_argument(
            "--map",
            metavar="NAME=COLUMN",
            action="append",
            default=[],
            help="read a course's NAME from the file's COLUMN; in JSON also from a nested one: course.name",
        )
        parser.add_argument(
            "--set",
            metavar="NAME=VALUE",
            action="append",
            default=[],
            help="give each course this value, even if the file has another",
        )
        parser.add_argument(
            "--create-parents",
            action="store_true",
            help="create unknown categories and fields instead of rejecting",
        )
        parser.add_argument("--dry-run", action="store_true", help="do everything, store nothing")
        parser.add_argument(
            "--strict",
            action="store_true",
            help="reject rows with a value that cannot be read, and store nothing when any row is rejected",
        )
        parser.add_argument(
            "--report",
            metavar="FILE",
            type=Path,
            help="write all rejected rows and values there: CSV (*.csv) or else JSON",
        )

    def handle(self, *, file: Path, **options: Any) -> None:
        """Import the file, report, and end with the exit status of `help`."""
        report: Report | None = None
        try:
            layout = _layout(options)
            with reporting(self._show, options["report"]) as report:
                self._import(file, layout, report, options)
        except UnreadableError as error:
            raise CommandError(str(error), returncode=NOTHING_READ) from error
        except OSError as error:
            status = SOME_REJECTED if report and report.stored else NOTHING_READ
            raise CommandError(f"The report cannot be written: {error}.", returncode=status) from error
        self._tell(report, options)

    def _import(self, file: Path, layout: Layout, report: Report, options: dict[str, Any]) -> None:
        names = ("format", "encoding", "rows", "create_parents", "dry_run", "strict")
        how = Options(**{name: options[name] for name in names})
        with tqdm(
            unit="B", unit_scale=True, leave=False, file=sys.stderr, disable=not sys.stderr.isatty()
        ) as bar:

            def progress(read: int, size: int) -> None:
                bar.total = size
                bar.update(read - bar.n)

            try:
                import_file(file, layout, how, report, progress)
            except (UnreadableError, OSError) as error:
                report.problem = str(error)
            except DatabaseError as error:
                reason = str(error).strip().partition("\n")[0] or type(error).__name__
                report.problem = f"The database failed: {reason.rstrip('.')}."
            except KeyboardInterrupt:
                report.problem = "Interrupted."

    def _show(self, line: str) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            self.stderr.write(line)

    def _tell(self, report: Report, options: dict[str, Any]) -> None:
        """Print the report's numbers. Raises CommandError if a row was rejected or the import ended early."""
        where = options["report"] or "use --report FILE to see them"
        for count, what in ((report.rejected, "rows"), (report.unread_values, "values")):
            if count > SHOWN:
                self.stderr.write(f"… and {count - SHOWN} more {what} ({where})")
        if report.encoding:
            self.stdout.write(
                f"The file does not say how it is encoded: {report.encoding} is a guess. "
                "Look at its accents, or name the encoding with --encoding."
            )
        if report.ignored_columns:
            self.stdout.write(printable(f"Columns not used: {', '.join(report.ignored_columns)}."))
        read = report.outcome.created + report.outcome.updated + report.outcome.unchanged
        if read or report.rejected or not report.problem:
            self.stdout.write(
                f"{report.outcome.created} created, {report.outcome.updated} updated, "
                f"{report.outcome.unchanged} unchanged, {report.rejected} rejected."
            )
        if report.unread_values:
            self.stdout.write(
                f"Values that could not be read: {report.unread_values}. "
                "New courses lack them, known ones keep what they had."
            )
        if options["dry_run"]:
            self.stdout.write("Nothing was stored: this was a dry run.")
        elif not report.problem and not report.outcome.created and not report.outcome.updated:
            self.stdout.write("Nothing changed.")
        if report.problem:
            kept = (
                " What is counted above is stored; run the command again to go on." if report.stored else ""
            )
            status = SOME_REJECTED if report.stored else NOTHING_READ
            raise CommandError(printable(report.problem) + kept, returncode=status)
        if report.rejected:
            why = " Nothing was stored (--strict)." if options["strict"] else ""
            total = read + report.rejected
            raise CommandError(
                f"{report.rejected} of {total} rows were rejected.{why}", returncode=SOME_REJECTED
            )


def _layout(options: dict[str, Any]) -> Layout:
    columns = options["columns"]
    return Layout(
        columns=tuple(columns.split(",")) if columns is not None else None,
        renamed=_pairs("--map", options["map"]),
        constants=_pairs("--set", options["set"]),
    )


def _pairs(option: str, arguments: list[str]) -> dict[str, str]:
    pairs = {}
    for argument in arguments:
        name, separator, value = argument.partition("=")
        if not separator:
            raise UnreadableError(f"{option} {argument}: write it as {option} NAME=VALUE.")
        pairs[normalised(name)] = value
    return pairs
