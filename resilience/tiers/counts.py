"""Rows are counted once in each state of the catalogue, and a page comes with the count of its own state."""

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
# Two statements may see two states. So the catalogue version is read beside a page's rows and beside a count,
# each in one statement, which sees one state. The version rises in the transaction of every write. So a page
# and a count that came with one version belong together, however much time lies between them.

# How often rows are counted again because a write came between count and page. After that the last count and
# the last page are shown, although they may be of two states.
_ATTEMPTS = 3

_MEMORY_BYTES = 1_048_576
_OVERHEAD = 300  # bytes of an entry beside its name, about


class RowCount(NamedTuple):
    """How many rows there were, in which state, and when (monotonic)."""

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
        """Return these rows, which are tuples, and whether this is the count of their state."""
        if self._beside is None:
            return list(rows), True
        found = list(rows.annotate(state_of_all=self._beside))
        state = found[-1][-1] if found else None
        return [row[:-1] for row in found], state == self._state


def candidates(rows: QuerySet[Any], meaning: Hashable, *, more_than: int = 0) -> Iterator[Candidate]:
    """Yield counts of these rows, for the caller to take the first that fits its page.

    The first is a kept one, if there is one and it is above `more_than`; the others are counted again.
    `meaning` is the same for the same rows, in whatever order. Raises what the database raises.
    """
    state, beside = _state(rows)
    kept = _counts.get(meaning)
    # Only as long as an answer is fresh: what somebody writes past the ORM raises nothing.
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


def forget() -> None:
    """Forget what this process has counted."""
    _counts.clear()


def _state(rows: QuerySet[Any]) -> tuple[Hashable, Combinable | None]:
    """Return the state of rows that are read now, if it is known, and what to read beside them to learn it.

    In a transaction nothing tells: its own writes raise the version only at its end.
    """
    connection = connections[rows.db]
    if registry.is_server() and not connection.in_atomic_block:
        if rows.db == DEFAULT_DB_ALIAS:
            return None, catalogue_version.as_column(rows.db)
        if isinstance(connection, FileConnection):
            return connection.file.path.name, None  # A file never changes.
    return None, None


def _now() -> float:
    return registry.clock().monotonic()


os.register_at_fork(after_in_child=forget)
