"""The tables of `benchmarks/results`: written in one way, so that plots and tests can read them again.

A measured cell is a figure, and in brackets the lowest and the highest of what it stands for:
`1.10 (1.05 to 1.31)`. Its unit stands in the column's head.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

_NUMBER = r"[+-]?\d[\d,]*(?:\.\d+)?"
_FIGURE = re.compile(rf"({_NUMBER})(?:[ %]|$)(?:.*?\(({_NUMBER}) to ({_NUMBER})\))?")


class Figure(NamedTuple):
    """A measured value and its spread; without one, all three are the value."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Table:
    """Heads and rows of text. `str()` is Markdown, with columns of figures to the right."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        rules = (
            "---:" if self.rows and all(map(_is_figure, column)) else "---"
            for column in ([row[number] for row in self.rows] for number in range(len(self.heads)))
        )
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (self.heads, tuple(rules), *self.rows))

    def column(self, head: str) -> int:
        """Return the number of a column. Raises ValueError."""
        if head not in self.heads:
            raise ValueError(f"no column {head!r}; there are {', '.join(self.heads)}")
        return self.heads.index(head)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table of these rows."""
    return Table(heads=tuple(heads), rows=tuple(map(tuple, rows)))


def spread(values: Sequence[float], form: str = ".1f") -> str:
    """Return a cell: the median, and from lowest to highest."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def figure(cell: str) -> Figure:
    """Read a cell. Raises ValueError where it begins with no number."""
    found = _FIGURE.match(cell)
    if found is None:
        raise ValueError(f"no figure: {cell!r}")
    value, low, high = (number or found[1] for number in found.groups())
    return Figure(*(float(number.replace(",", "")) for number in (value, low, high)))


def read(text: str) -> list[Table]:
    """Return the tables of a Markdown text."""
    return list(_tables(text.splitlines()))


def _tables(lines: Iterable[str]) -> Iterator[Table]:
    for is_table, block in groupby(lines, key=lambda line: line.startswith("|")):
        if is_table:
            heads, _, *rows = (
                [cell.strip() for cell in line.strip().strip("|").split("|")] for line in block
            )
            yield table(heads, rows)


def _is_figure(cell: str) -> bool:
    return _FIGURE.match(cell) is not None
