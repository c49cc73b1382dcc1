"""What is measured: one benchmark for each page of `benchmarks/results`, and the plots of its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from benchmarks import plots
from benchmarks.tables import Figure, Table, figure

COLUMNS = "columns"  # Each column has a panel of its own.


class Plot(Protocol):
    """One SVG file beside a page."""

    @property
    def suffix(self) -> str:
        """What its name has after the page's."""
        ...

    @property
    def title(self) -> str: ...

    def draw(self, tables: Sequence[Table]) -> str:
        """Return the SVG of the page's tables."""
        ...


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A module that prints a page's text and tables; `versions`: of the packages and servers it measures."""

    name: str
    title: str
    module: str
    target: str = "bench"
    takes_rounds: bool = True
    versions: tuple[str, ...]
    drawn: tuple[Plot, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Dots:
    """Columns of one table on one axis: each its own series, or each its own panel, or one panel per group.

    `panels` is "", `COLUMNS`, or the column whose values head the panels. With one series, rows that begin as
    `ours` does stand out from the others.
    """

    title: str
    axis: str
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    panels: str = ""
    ours: str = ""
    table: int = 0
    log: bool = False
    suffix: str = ""

    def draw(self, tables: Sequence[Table]) -> str:
        table = tables[self.table]
        by_column = self.panels != COLUMNS and len(self.columns) > 1
        if by_column:
            # Without the unit, which the axis names.
            legend = {number: name.rpartition(", ")[0] or name for number, name in enumerate(self.columns)}
        else:
            legend = {0: "this project", plots.OTHERS: "others"} if self.ours else {}
        return plots.dots(self.title, self.axis, self._panels(table), legend, log=self.log)

    def _panels(self, table: Table) -> list[plots.Panel]:
        if self.panels == COLUMNS:
            return [
                plots.Panel(heading=name, rows=self._rows(table, table.rows, (name,)))
                for name in self.columns
            ]
        if not self.panels:
            return [plots.Panel(heading="", rows=self._rows(table, table.rows, self.columns))]
        group = table.column(self.panels)
        return [
            plots.Panel(heading=heading, rows=self._rows(table, list(rows), self.columns))
            for heading, rows in groupby(table.rows, key=lambda row: row[group])
        ]

    def _rows(self, table: Table, rows: Sequence[Sequence[str]], columns: tuple[str, ...]) -> list[plots.Row]:
        found = []
        for row in rows:
            label = ", ".join(row[table.column(name)] for name in self.labels)
            series = 0 if label.startswith(self.ours) else plots.OTHERS
            figures: dict[int, Figure] = {
                number or series: figure(row[table.column(name)]) for number, name in enumerate(columns)
            }
            found.append(plots.Row(label=label, figures=figures))
        return found


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Each row of the first table a line over the numbers in the heads."""

    title: str
    axes: tuple[str, str]
    log: tuple[bool, bool]
    suffix: str = ""

    def draw(self, tables: Sequence[Table]) -> str:
        table = tables[0]
        across = {
            number: float(head.replace(",", ""))
            for number, head in enumerate(table.heads)
            if head.replace(",", "").isdigit()
        }
        series = {
            row[0]: {value: figure(row[number]) for number, value in across.items()} for row in table.rows
        }
        return plots.lines(self.title, self.axes, series, log=self.log)


BENCHMARKS = (
    Benchmark(
        name="breaker",
        title="What a call through a breaker costs",
        module="benchmarks.breaker",
        versions=(
            *("circuitbreaker", "pybreaker", "aiobreaker", "purgatory", "interlock-cb", "resilient-circuit"),
            *("pyresilience", "redis", "redis-server"),
        ),
        drawn=(
            Dots(
                title="One call through a breaker",
                axis="µs per call: median, fastest to slowest round (logarithmic)",
                labels=("breaker",),
                columns=(
                    *("closed, 1 thread", "closed, 8 threads", "closed, 4 processes"),
                    *("rejected", "failing"),
                ),
                panels=COLUMNS,
                ours="ours",
                log=True,
            ),
            Dots(
                title="Calls that reach a dead dependency before all processes refuse",
                axis="calls, where three failures open a breaker",
                labels=("breaker",),
                columns=("1 process", "4 processes", "8 processes"),
                table=2,
                suffix="-reached",
            ),
        ),
    ),
    Benchmark(
        name="middleware",
        title="What the first middleware costs",
        module="benchmarks.middleware",
        versions=("Django", "djangorestframework"),
    ),
    Benchmark(
        name="engine",
        title="What the guarded engines cost",
        module="benchmarks.engine",
        versions=("Django", "djangorestframework", "psycopg", "postgres"),
        drawn=(
            Dots(
                title="A page on a guarded engine, beside Django's own",
                axis="more processor time, %: median of pairs, middle half of them",
                labels=("database", "page"),
                columns=("more, %",),
            ),
        ),
    ),
    Benchmark(
        name="http",
        title="What a request costs over HTTP",
        module="benchmarks.http",
        versions=(
            *("Django", "djangorestframework", "granian", "psycopg", "django-redis", "postgres"),
            *("redis-server", "nginx"),
        ),
        drawn=(
            Dots(
                title="Processor time of one request, beside the same bytes sent by a bare callable",
                axis="times the bare callable: median, lowest to highest round (logarithmic)",
                labels=("site",),
                columns=("times bare",),
                panels="request",
                ours="this app",
                log=True,
            ),
        ),
    ),
    Benchmark(
        name="crowd",
        title="What a crowd gets",
        module="benchmarks.crowd",
        versions=(
            *("Django", "djangorestframework", "granian", "psycopg", "django-redis", "postgres"),
            "redis-server",
        ),
        drawn=(
            Dots(
                title="A crowd of readers, beside plain Django and DRF",
                axis="times plain Django's: all rounds, lowest to highest (logarithmic)",
                labels=("clients",),
                columns=("live answers, times plain's", "p99, times plain's"),
                panels="queries slower by",
                log=True,
            ),
        ),
    ),
    Benchmark(
        name="growth",
        title="How reads grow with the catalogue",
        module="benchmarks.growth",
        versions=("Django", "djangorestframework", "psycopg", "postgres"),
        drawn=(
            Lines(
                title="A list on PostgreSQL, by the size of the catalogue",
                axes=(
                    "courses in the catalogue (logarithmic)",
                    "ms of processor per request, median and spread",
                ),
                log=(True, False),
            ),
        ),
    ),
    Benchmark(
        name="importing",
        title="What an import costs",
        module="benchmarks.importing",
        versions=("Django", "psycopg", "postgres"),
        drawn=(
            Dots(
                title="Importing a file of courses",
                axis="seconds: median, fastest to slowest round (logarithmic)",
                labels=("database", "format", "rows"),
                columns=("create, s", "again, nothing changes, s", "all rows change, s"),
                log=True,
            ),
        ),
    ),
    Benchmark(
        name="writers",
        title="What writers of the catalogue lose to each other",
        module="benchmarks.writers",
        versions=("Django", "psycopg", "postgres"),
        drawn=(
            Dots(
                title="Writers at the same time, where a COMMIT takes 5 ms",
                axis="writes a second: median, slowest to fastest round (logarithmic)",
                labels=("catalogue version",),
                columns=("writes a second",),
                panels="processes",
                ours="32 rows",
                log=True,
            ),
        ),
    ),
    Benchmark(
        name="ledger",
        title="Writes through outages",
        module="tests.ledger",
        target="ledger",
        takes_rounds=False,
        versions=("Django", "granian", "psycopg", "postgres"),
    ),
    Benchmark(
        name="outages",
        title="Reads through outages",
        module="tests.outage_table",
        target="outage-table",
        takes_rounds=False,
        versions=("Django", "granian", "psycopg", "django-redis", "postgres", "redis-server", "nginx"),
        drawn=(
            Dots(
                title="Answers before, during and after thirty seconds of outage",
                axis="ms: the slowest of a hundred (logarithmic)",
                labels=("outage",),
                columns=("p99 before, ms", "p99 during, ms", "p99 after, ms"),
                log=True,
            ),
        ),
    ),
    Benchmark(
        name="drills",
        title="Drills",
        module="tests.drill_table",
        target="drills",
        takes_rounds=False,
        versions=("Django", "granian", "psycopg", "django-redis", "postgres", "redis-server"),
    ),
    Benchmark(
        name="soak",
        title="Twenty minutes of load, faults and killed workers",
        module="tests.soak",
        target="soak",
        takes_rounds=False,
        versions=("Django", "granian", "psycopg", "django-redis", "postgres", "redis-server"),
    ),
)
