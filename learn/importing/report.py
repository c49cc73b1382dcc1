"""Tells what became of a file: numbers at the end, rejected rows as they come."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from learn.files import replaced
from learn.importing.errors import Rejection
from learn.importing.storing import Outcome

SHOWN = 20
"""How many rejected rows are shown; all of them go to the report's file."""


class Writer(Protocol):
    """Write the rejected rows of one file as they come, and the numbers at its end."""

    def reject(self, rejection: Rejection) -> None:
        """Write one row."""

    def finish(self, summary: dict[str, Any]) -> None:
        """Write the numbers and whatever closes the file."""


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
        """A table holds the rows only."""


class Report:
    """Count rows and hand rejected ones on: the first few to `show`, all to `writer`, none kept in memory."""

    def __init__(self, show: Callable[[str], object], writer: Writer | None = None) -> None:
        self.outcome = Outcome()
        self.rejected = 0
        self.ignored_columns: list[str] = []
        self.stored = False
        """Whether anything was committed; without, the numbers say what would have been."""
        self.problem = ""
        """What ended the import early."""
        self._show = show
        self._writer = writer

    def reject(self, rejections: Iterable[Rejection]) -> None:
        """Note rejected rows."""
        for rejection in rejections:
            self.rejected += 1
            if self.rejected <= SHOWN:
                column = f", {rejection.column}" if rejection.column else ""
                self._show(printable(f"line {rejection.line}{column}: {rejection.reason}"))
            if self._writer is not None:
                self._writer.reject(rejection)

    def summary(self) -> dict[str, Any]:
        """Return the numbers."""
        return {
            "created": self.outcome.created,
            "updated": self.outcome.updated,
            "unchanged": self.outcome.unchanged,
            "rejected": self.rejected,
            "stored": self.stored,
            "problem": self.problem,
            "ignored_columns": self.ignored_columns,
        }


@contextmanager
def reporting(show: Callable[[str], object], path: Path | None) -> Iterator[Report]:
    """Make a report, with all rejected rows at `path`: CSV when its name ends so, else one JSON object.

    Raises OSError when it cannot be written, most often before the block begins.
    """
    if path is None:
        yield Report(show)
        return
    with replaced(path) as file:
        writer: Writer = _Table(file) if path.suffix.lower() == ".csv" else _Json(file)
        report = Report(show, writer)
        yield report
        writer.finish(report.summary())


def printable(text: str) -> str:
    """Return text from a file without what would steer a terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
