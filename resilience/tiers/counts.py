"""Rows are counted once in each state of the catalogue, and a page comes with the count of its own state."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Count, Max, QuerySet, Value
from django.db.models.expressions import Combinable

from resilience import registry
from resilience.db.router import STATIC
from resilience.tiers import generation
from resilience.tiers.memory import Memory
from resilience.tiers.static.reading import FileConnection
from resilience.tiers.stored import FRESH_FOR

# Note [A page and its count are of one state]
# Two statements may see two states. So the generation is read beside a page's rows, and beside a count: each
# in one statement, which sees one state. It rises in the transaction of every write, so a page and a count
# that came with one generation belong together, however much time lies between them.

# How often rows are counted anew because a write came between count and page. Whoever is passed by writes as
# often as that gets the last two.
_ATTEMPTS = 3

_MEMORY_BYTES = 1_048_576
_BESIDE = 300  # what an entry takes beside its name, about


class Kept(NamedTuple):
    """How many rows there were, in which state, and when (monotonic)."""

    rows: int
    state: Hashable
    at: float


_counts: Memory[Kept] = Memory(_MEMORY_BYTES)


class Counted:
    """A count, and what to read beside a page to know whether it is of the same state."""

    def __init__(self, kept: Kept, beside: Combinable | None) -> None:
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


def of(rows: QuerySet[Any], meaning: Hashable, *, more_than: int = 0) -> Iterator[Counted]:
    """Yield a kept count, if it says `more_than` so many rows; then, until one fits, others counted anew.

    `meaning` is the same for the same rows, in whatever order. Raises what the database raises.
    """
    beside = _beside(rows)
    kept = None if beside is None else _counts.get(meaning)
    # Only as long as an answer is fresh: what somebody writes past the ORM raises nothing.
    if kept is not None and kept.rows > more_than and _now() - kept.at < FRESH_FOR:
        yield Counted(kept, beside)
    for _ in range(_ATTEMPTS):
        if beside is None:
            anew = Kept(rows.count(), None, _now())
        else:
            found = rows.aggregate(rows=Count("*"), state=Max(beside))
            anew = Kept(found["rows"], found["state"], _now())
            if anew.state is not None:
                _counts.put(meaning, anew, len(repr(meaning)) + _BESIDE)
        yield Counted(anew, beside)


def forget() -> None:
    """Forget what this process has counted."""
    _counts.clear()


def _beside(rows: QuerySet[Any]) -> Combinable | None:
    """Return what to read beside rows to know of which state they are.

    In a transaction nothing tells: its own writes raise the generation only at its end.
    """
    connection = connections[rows.db]
    if registry.role() != "server" or connection.in_atomic_block:
        return None
    if rows.db == DEFAULT_DB_ALIAS:
        return generation.beside(rows.db)
    if rows.db == STATIC and isinstance(connection, FileConnection):
        return Value(connection.file.path.name)  # A file never changes.
    return None


def _now() -> float:
    return registry.clock().monotonic()


os.register_at_fork(after_in_child=forget)
