"""Where one breaker lives: its record and its rows in a store, and what the fast path needs of them.

A closed breaker is let pass after one look: the word that names its record's version is compared with
`gate`, which is set only while that version is closed, without an order, and counted by this process.
"""

import threading
from collections.abc import Callable
from itertools import count

from . import state
from .config import BreakerConfig
from .state import Outcome, Record, State
from .store.layout import ALONE, BREAKER_COPY, Region
from .store.store import LocalStore, Store
from .store.versioned import Versioned
from .window import COUNT, REJECTED, ROW_WORDS, Totals, Window, is_counted, sum_rows

_SHUT = -1
# Looking a member up in its class costs as much as comparing it five times.
_SUCCESS = Outcome.SUCCESS
_LATE = len(Outcome)


class Admission:
    """Leave to make calls: of one generation, perhaps as a probe. `counts` is False for commands."""

    __slots__ = ("counts", "generation", "permit")

    def __init__(self, generation: int, *, permit: int = 0, counts: bool = True) -> None:
        self.generation = generation
        self.permit = permit
        self.counts = counts


class Cell:
    """One process's view of a breaker in `home`, or in its own memory while it has no place there."""

    __slots__ = (
        "__weakref__",
        "_attached",
        "_config",
        "_fast",
        "_home",
        "_key",
        "_lock",
        "_own",
        "_region",
        "_tallies",
        "at",
        "barred",
        "barred_until",
        "closed",
        "count_at",
        "due",
        "gate",
        "index",
        "open_until",
        "record",
        "rejected_at",
        "rejections",
        "store",
        "successes",
        "votes",
        "window",
        "words",
    )

    def __init__(self, home: Store, key: str, config: BreakerConfig, *, fast: bool = True) -> None:
        self._home = home
        self._key = key
        self._config = config
        self._own: LocalStore | None = None
        # Whether one look at `gate` or `barred` may decide.
        self._fast = fast
        self._lock = threading.Lock()
        self._attached = False
        # By operation, for each outcome: where it is counted; None is not known, 0 nowhere.
        self._tallies: dict[str, list[int | None]] = {}
        self.store: Store = home
        self.record = Versioned(
            home, home.layout.records.at, BREAKER_COPY, Record(), encode=state.encode, decode=state.decode
        )
        # What the fast paths read. Only `gate` and `barred` decide, and they are set last.
        self.gate = _SHUT
        self.barred = _SHUT
        self.barred_until = self.open_until = 0.0
        self.words = home.words
        self.at = home.layout.records.at
        self.closed = Admission(0)
        self.due = 0.0
        self.index = 0
        self.votes = False
        self.window: Window | None = None
        self.count_at = self.rejected_at = 0
        self.successes = self.rejections = count()
        self._region = Region(0, 0, 0)
        home.add_tenant(self)

    def detach(self) -> None:
        """Give up all addresses: the process was forked, its role changed, or the store is another one."""
        self.gate = self.barred = _SHUT
        self._attached = False
        self._lock = threading.Lock()

    def attach(self, now: float) -> None:
        """Find the breaker's place, unless it is known."""
        if self._attached and self._holds():
            return
        self._home.refresh()
        with self._lock:
            if self._attached and self._holds():
                return
            if not self._settle_in_locked(self._home, now):
                self._home.say_once(f"{self._key} has no place in the store: this process counts alone")
                self._own = self._own or LocalStore(ALONE, role=self._home.role)
                self._own.role = self._home.role
                self._settle_in_locked(self._own, now)
            self._attached = True

    def _settle_in_locked(self, store: Store, now: float) -> bool:
        index = 0 if store.layout is ALONE else store.breaker_names.index(self._key)
        seat = store.seat() if store.votes else None
        if index is None or (store.votes and seat is None):
            return False
        window = None
        if seat is not None:
            window = Window(store, store.layout.rows.of(index), seat, self._config)
        # See Note [How a name is given back]: the window says that this process counts there.
        if store.layout is not ALONE and not store.breaker_names.holds(index, self._key):
            if window is not None:
                window.leave()
            return False
        self.store, self.index, self.words = store, index, store.words
        self._region = Region(store.layout.rows.of(index), store.layout.slots, ROW_WORDS)
        self._tallies = {}
        self.at = store.layout.records.of(index)
        self.record.move(store, self.at)
        self.window = window
        if self.window is not None:
            self.count_at, self.rejected_at = self.window.count_at, self.window.rejected_at
            self.successes, self.rejections = self.window.successes, self.window.rejections
            self._count_for_locked(self.record.read(), now)
        self.votes = store.votes
        return True

    def _holds(self) -> bool:
        """Say whether the breaker still has its place: one that no living process uses may be given away."""
        return self.store.layout is ALONE or self.store.breaker_names.holds(self.index, self._key)

    def update(self, change: Callable[[Record], Record | None]) -> Record | None:
        """Write what `change` makes of the record; None when it says so, or for want of lock or place."""
        return self.record.update(lambda last: change(last) if self._holds() else None)

    def count_for(self, record: Record, now: float) -> None:
        """Count for the window of `record`; while that is closed, open the fast path."""
        with self._lock:
            self._count_for_locked(record, now)

    def _count_for_locked(self, record: Record, now: float) -> None:
        if self.window is None:
            return
        if self.window.tag != record.window:
            self.window.begin(record.window, now)
        self.due = self.window.due
        if record.state is State.CLOSED and record.override is None:
            version = self.record.version
            if self.record.read() is record and self.gate != version:
                self.closed = Admission(record.generation)
                self.gate = version if self._fast else _SHUT

    def bar(self, record: Record, now: float) -> None:
        """Refuse at one look what comes before the end of the open time, or the next tick."""
        with self._lock:
            version = self.record.version
            if self.record.read() is record and self.window is not None and self._fast:
                self.due = self.window.due
                self.open_until = record.until
                self.barred_until = min(record.until, self.due)
                self.barred = version

    def tick(self, now: float) -> None:
        """Do what is due about once a second: carry the count over, see whether the store is the same."""
        if self.window is not None and self._holds():
            self.window.tick(now)
            self.due = self.window.due
        # What could not be counted, for want of a lock, is tried again.
        for places in self._tallies.values():
            places[:] = [at or None for at in places]
        self._home.refresh()
        if self.store is not self._home or not self._holds():
            self.detach()
            self.attach(now)

    def totals(self, now: float) -> Totals:
        """Return what the window of all processes holds."""
        return sum_rows(self.store, self._region.at, self.record.read().window, self._config, now)

    def rejected(self) -> int:
        """Return the refusals of all processes, ever."""
        return self._sum(REJECTED)

    def _sum(self, part: int) -> int:
        return sum(self.words[self._region.of(seat) + part] for seat in range(self.store.seats))

    def tally(self, name: str, operation: str, outcome: Outcome | None) -> None:
        """Count a call for the metrics; None is a late one.

        A success of "call" is not: the row's own count knows it (see `calls`).
        """
        if outcome is _SUCCESS and operation == "call":
            return
        places = self._tallies.get(operation)
        if places is None:
            places = self._tallies[operation] = [None] * (_LATE + 1)
        kind = _LATE if outcome is None else outcome
        at = places[kind]
        if at is None:
            at = places[kind] = self._tally_at(name, operation, outcome)
        if at:
            self.store.counters.add_at(at)

    def _tally_at(self, name: str, operation: str, outcome: Outcome | None) -> int:
        if not self.store.layout.counters:
            return 0
        label = "late" if outcome is None else outcome.name.lower()
        return self.store.counters.place("calls", name, operation, label) or 0

    def calls(self, name: str) -> dict[tuple[str, str], int]:
        """Return the calls of all processes, ever, by operation and outcome."""
        calls = {
            (labels[2], labels[3]): total
            for labels, total in self.store.counters.totals().items()
            if labels[:2] == ("calls", name)
        }
        elsewhere = sum(total for (_, outcome), total in calls.items() if outcome == "success")
        calls["call", "success"] = max(0, self._sum(COUNT) - elsewhere)
        return calls


def in_use(store: Store, key: str) -> bool:
    """Say whether a living process counts for the breaker of this key, which is given no place for that."""
    names = store.breaker_names.all()
    return key in names and is_counted(store, store.layout.rows.of(names.index(key)))
