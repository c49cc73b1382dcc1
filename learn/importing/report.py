"""The report of an import: what was not stored as it comes, numbers at the end."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from learn.files import replaced
from learn.importing.errors import Rejection
from learn.importing.storing import Outcome

SHOWN = 20
"""The most rejected rows, and the most values, that are shown. The report's file gets all of them."""


class _Json:
    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._separator = '{"rows": [\n'

    def reject(self, rejection: Rejection) -> None:
        self._file.write(self._separator + json.dumps(rejection._asdict(), ensure_ascii=False))
        self._separator = ",\n"

    def finish(self, summary: dict[str, Any]) -> None:
        start = "\n], " if self._separator == ",\n" else '{"rows": [], '
        self._file.write(start + json.dumps(summary, ensure_ascii=False)[1:] + "\n")


class _Table:
    def __init__(self, file: IO[str]) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(Rejection._fields)

    def reject(self, rejection: Rejection) -> None:
        self._writer.writerow(rejection)

    def finish(self, summary: dict[str, Any]) -> None:
        """Write nothing: a table holds only rows."""


class Report:
    """Count rows and values. Hand the first rejected to `show`, and all to `writer`; keep none in memory."""

    def __init__(self, show: Callable[[str], object], writer: _Json | _Table | None = None) -> None:
        self.outcome = Outcome()
        self.rejected = 0
        self.unread_values = 0
        """Values that could not be read. Their rows are stored without them."""
        self.encoding = ""
        """How the file is encoded, if that is a guess."""
        self.ignored_columns: list[str] = []
        self.stored = False
        """Whether anything was committed. If not, the numbers say what would have been stored."""
        self.problem = ""
        """What ended the import early; empty if nothing did."""
        self._show = show
        self._writer = writer

    def reject(self, rejections: Iterable[Rejection]) -> None:
        """Count and write rejected rows and values."""
        for rejection in rejections:
            if rejection.costs == "row":
                self.rejected += 1
                count, rest = self.rejected, ""
            else:
                self.unread_values += 1
                count, rest = self.unread_values, ": the row goes in without it"
            if count <= SHOWN:
                column = f", {rejection.column}" if rejection.column else ""
                self._show(printable(f"line {rejection.line}{column}: {rejection.reason}{rest}"))
            if self._writer is not None:
                self._writer.reject(rejection)

    def summary(self) -> dict[str, Any]:
        """Return the numbers of the whole file."""
        return {
            "created": self.outcome.created,
            "updated": self.outcome.updated,
            "unchanged": self.outcome.unchanged,
            "rejected": self.rejected,
            "unread_values": self.unread_values,
            "stored": self.stored,
            "problem": self.problem,
            "guessed_encoding": self.encoding,
            "ignored_columns": self.ignored_columns,
        }


@contextmanager
def reporting(show: Callable[[str], object], path: Path | None) -> Iterator[Report]:
    """Make a report; write all that is rejected to `path`, as CSV if its name ends in `.csv`, else as JSON.

    Raises OSError if it cannot be written, most often before the block begins.
    """
    if path is None:
        yield Report(show)
        return
    with replaced(path) as file:
        writer = _Table(file) if path.suffix.lower() == ".csv" else _Json(file)
        report = Report(show, writer)
        yield report
        writer.finish(report.summary())


def printable(text: str) -> str:
    """Return a text with its control characters escaped, so that it cannot steer a terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
