"""Counts of rows: made once for each state of the catalogue; a page gets the count of its own state."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Count, Max, QuerySet
from django.db.models.expressions import Combinable

from resilience import registry
from resilience.tiers import catalogue_version
from resilience.tiers.lru import LRU
from resilience.tiers.static_copy.reading import FileConnection
from resilience.tiers.stored import FRESH_FOR

# Note [A page and its count are of one state]
# Two statements may see two states of the database. So one statement reads the catalogue version beside a
# page's rows, and another reads it beside a count. Every write raises the version in its own transaction. So
# a page and a count with the same version are of the same state, even if they were read at different times.

# How often rows are counted because a write came between count and page, and for how many seconds another
# count may begin. After that the last count and the last page are shown, although they may be of two states.
# Where a query takes 300 ms and somebody always writes, no attempt finds one state, and six queries spend all
# the time of a read.
_ATTEMPTS = 3
_BEGUN_WITHIN = 0.2

_MEMORY_BYTES = 1_048_576
_OVERHEAD = 300  # about the bytes of an entry without its name


class RowCount(NamedTuple):
    """How many rows there were, in which state, and when (monotonic seconds)."""

    rows: int
    state: Hashable
    at: float


_counts: LRU[RowCount] = LRU(_MEMORY_BYTES)


class Candidate:
    """A count, and what to read beside a page to know whether both are of one state."""

    def __init__(self, kept: RowCount, beside: Combinable | None) -> None:
        self.rows = kept.rows
        self._state = kept.state
        self._beside = beside

    def read(self, rows: QuerySet[Any]) -> tuple[list[Any], bool]:
        """Return the rows as tuples, and whether this count is of the same state."""
        if self._beside is None:
            return list(rows), True
        found = list(rows.annotate(state_of_all=self._beside))
        state = found[-1][-1] if found else None
        return [row[:-1] for row in found], state == self._state


def candidates(rows: QuerySet[Any], meaning: Hashable, *, more_than: int = 0) -> Iterator[Candidate]:
    """Yield counts of these rows; the caller takes the first that is of the same state as its page.

    The first is a kept count, if there is one above `more_than`. The others are counted again. `meaning`
    identifies the rows, whatever their order. Raises the database's errors.
    """
    began = _now()
    state, beside = _state(rows)
    # Of each database apart: in a crowd the same is counted live and in the static copy in turn.
    meaning = (rows.db, meaning)
    kept = _counts.get(meaning)
    # A count is kept no longer than an answer is fresh: a write past the ORM does not raise the version.
    young = kept is not None and _now() - kept.at < FRESH_FOR
    if kept is not None and young and kept.rows > more_than and (beside is not None or kept.state == state):
        yield Candidate(kept, beside)
    for _ in range(_ATTEMPTS):
        if beside is None:
            number = rows.count()
        else:
            number, state = rows.aggregate(rows=Count("*"), state=Max(beside)).values()
        again = RowCount(number, state, _now())
        if state is not None:
            _counts.put(meaning, again, len(repr(meaning)) + _OVERHEAD)
        yield Candidate(again, beside)
        if _now() - began > _BEGUN_WITHIN:
            return


def forget() -> None:
    """Forget what this process has counted."""
    _counts.clear()


def _state(rows: QuerySet[Any]) -> tuple[Hashable, Combinable | None]:
    """Return the state of rows that are read now, if it is known, and the column to read beside them if not.

    Within a transaction the state cannot be told: its own writes raise the version only at its end.
    """
    connection = connections[rows.db]
    if registry.enforces() and not connection.in_atomic_block:
        if rows.db == DEFAULT_DB_ALIAS:
            return None, catalogue_version.as_column(rows.db)
        if isinstance(connection, FileConnection):
            return connection.file.path.name, None  # A file never changes.
    return None, None


def _now() -> float:
    return registry.clock().monotonic()


os.register_at_fork(after_in_child=forget)
