"""Who uses a place in the store, how much it would be missed, and how it is cleared.

There is one class each for breakers, counters and pools; `names` says when each method is called.
"""

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from ..rules import Record, decode, encode
from .layout import BREAKER_COPY, GAUGE_WORDS, WORD
from .row import CURRENT, OWNER, ROW_WORDS, WIDTH
from .versioned import Versioned

if TYPE_CHECKING:
    from .store import Store

# Where a row of gauges says how many calls may run at once, which is never 0 for a pool in use.
LIMIT = 2


class Users(ABC):
    """What is known of the places of one kind."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    @abstractmethod
    def any(self, place: int) -> bool:
        """Say whether a living process uses the place, or it must stay for another reason."""

    @abstractmethod
    def missed(self, place: int) -> float:
        """Return a number that is the higher the more an unused place would be missed."""

    @abstractmethod
    def clear(self, place: int, taken: float) -> None:
        """Leave nothing there of its last user; the lock was `taken` then."""

    def _living(self) -> list[int]:
        return [slot for slot in range(self._store.used_slots) if self._store.occupied(slot)]


class BreakerUsers(Users):
    """A breaker is used by a process that counts for it, and kept for an order, which outlives a restart."""

    def any(self, place: int) -> bool:
        words, rows = self._store.words, self._store.layout.rows.of(place)
        for slot in self._living():
            owner = words[rows + slot * ROW_WORDS + OWNER]
            if owner % self._store.layout.slots == slot and self._store.alive(owner):
                return True
        override = self._record(place).read().override
        return override is not None and not override.ended(time.monotonic())

    def missed(self, place: int) -> float:
        """Return when it was last counted for: a server that restarts was here a moment ago."""
        words, rows = self._store.words, self._store.layout.rows.of(place)
        ends = range(rows, rows + self._store.used_slots * ROW_WORDS, ROW_WORDS)
        return max((words[row + CURRENT] * words[row + WIDTH] / 1e6 for row in ends), default=0.0)

    def clear(self, place: int, taken: float) -> None:
        layout, words = self._store.layout, self._store.words
        # A version of its own: a process that still looks here would write an older one back.
        self._record(place).put_locked(Record(), taken)
        rows = layout.rows.of(place)
        for at in range(rows, rows + self._store.used_slots * ROW_WORDS):
            words[at] = 0
        words[layout.last_errors.of(place) + 1] = 0

    def _record(self, place: int) -> Versioned[Record]:
        at = self._store.layout.records.of(place)
        return Versioned(self._store, at, BREAKER_COPY, Record(), encode=encode, decode=decode)


class CounterUsers(Users):
    """A counter is used by a process that has counted there; of the others the lowest is missed least."""

    def use(self, place: int, slot: int) -> bool:
        """Say that the process of this slot counts there; return whether it did before."""
        at = self._byte(place, slot)
        used = self._store.bytes[at] != 0
        if not used:
            self._store.bytes[at] = 1
        return used

    def leave(self, place: int, slot: int) -> None:
        """Say that it does not count there after all."""
        self._store.bytes[self._byte(place, slot)] = 0

    def leave_all(self, slot: int) -> None:
        """Forget what the last process of this slot has counted."""
        first = self._byte(0, slot)
        room = self._store.layout.counter_users.stride * WORD
        self._store.bytes[first : first + room] = bytes(room)

    def any(self, place: int) -> bool:
        return any(self._store.bytes[self._byte(place, slot)] for slot in self._living())

    def missed(self, place: int) -> float:
        counts = self._store.layout.counts
        return sum(self._store.words[counts.of(slot) + place] for slot in range(self._store.used_slots))

    def clear(self, place: int, taken: float) -> None:
        for slot in range(self._store.used_slots):
            self._store.words[self._store.layout.counts.of(slot) + place] = 0

    def _byte(self, place: int, slot: int) -> int:
        return self._store.layout.counter_users.of(slot) * WORD + place


class PoolUsers(Users):
    """A pool is used by a process that shows a limit; of the others the fewest refusals are missed least."""

    def leave_all(self, slot: int) -> None:
        """Forget the gauges of the last process of this slot, save its refusals, which are of the host."""
        for place in range(self._store.layout.pools):
            at = self._at(place, slot)
            for part in range(LIMIT + 1):
                self._store.words[at + part] = 0

    def any(self, place: int) -> bool:
        return any(self._store.words[self._at(place, slot) + LIMIT] > 0 for slot in self._living())

    def missed(self, place: int) -> float:
        return sum(self._store.words[self._at(place, slot) + 3] for slot in range(self._store.used_slots))

    def clear(self, place: int, taken: float) -> None:
        for slot in range(self._store.used_slots):
            for part in range(GAUGE_WORDS):
                self._store.words[self._at(place, slot) + part] = 0

    def _at(self, place: int, slot: int) -> int:
        return self._store.layout.gauges.of(slot) + place * GAUGE_WORDS
