"""The state of one breaker in a store: its record and its rows, and this process's access to them.

All processes of a host read and write the same record. Each counts in a row of its own (see `window`).
"""

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from math import inf

from . import rules
from .call_counts import CallCounts
from .clock import Clock
from .config import BreakerConfig
from .rules import CLOSED, FAILURE, OPEN, Admission, Outcome, Override, Permit, Record, Totals
from .store.layout import ALONE, BREAKER_COPY, Region
from .store.row import COUNT, REJECTED, ROW_WORDS
from .store.store import LocalStore, Store
from .store.versioned import Versioned
from .transitions import Transition, between, tell
from .window import Window, is_counted, sum_rows

# Seconds in which nobody else begins what one thread does about once a second.
_MEANWHILE = 0.1


class HostState:
    """One process's view of a breaker in the store `home`; in its own memory while that has no place for it.

    Thread-safe. No lock is held while a listener runs.
    """

    def __init__(self, name: str, home: Store, key: str, config: BreakerConfig, clock: Clock) -> None:
        self.name = name
        self.config = config
        self.clock = clock
        self.listeners: list[Callable[[Transition], None]] = []
        self.shadow = False
        """Whether the breaker refuses nothing, so that its changes are seen by nobody."""
        self.store = home
        self.index = 0
        self.window: Window | None = None
        """This process's row; None in a command, whose calls are not counted and never refused."""
        self.counts = CallCounts(home, name)
        self._home = home
        self._key = key
        self._own: LocalStore | None = None
        self._record = Versioned(
            home, home.layout.records.at, BREAKER_COPY, Record(), encode=rules.encode, decode=rules.decode
        )
        # The last record that was checked, and its version. While the version is the same and nothing is due,
        # nothing else need be looked at.
        self._seen = (-1, Record())
        self._words, self._at = home.words, home.layout.records.at
        self._region = Region(0, 0, 0)
        self._lock = threading.Lock()
        self._placed = False
        self._due = -inf  # when to call `_catch_up` next
        home.add_tenant(self)

    # --- The record ---

    def current(self, now: float) -> Record:
        """Return the newest record, and count for its window. End an order whose time is over."""
        version, record = self._seen
        if now < self._due and self._words[self._at] == version:
            return record
        if now >= self._due:
            self._catch_up(now)
        # The version is read first: if the record is newer than it, the only cost is a further look.
        version = self._record.version
        record = self._record.read()
        if record.override is not None and record.override.ended(now):
            record = self._without_override(record, record.override, now)
        if self.window is not None and record.window > self.window.tag:
            self.window.begin(record.window, now)
        if record.override is None:  # which might end
            self._seen = (version, record)
        return record

    def look(self) -> tuple[Record, float]:
        """Return the record for reading only, and the time."""
        now = self.clock.monotonic()
        if now >= self._due:
            self._catch_up(now)
        record = self._record.read()
        if record.override is not None and record.override.ended(now):
            record = replace(record, override=None)
        return record, now

    def change(
        self,
        change: Callable[[Record], Record | None],
        now: float,
        reason: str,
        order: str | None = None,
        override: Override | None = None,
    ) -> Record | None:
        """Replace the record by `change(record)`, and call the listeners.

        Return None if nothing was written: `change` returned None, or there was no lock or no place.
        """
        before: list[Record] = []

        def noted(last: Record) -> Record | None:
            before[:] = [last]
            return change(last) if self._holds() else None

        after = self._record.update(noted)
        if after is not None and after.generation != before[0].generation:
            made = between(
                before[0],
                after,
                self.name,
                now,
                self.clock.time(),
                reason,
                cause=self._cause(after.window) if after.state is OPEN and not order else "",
                order=order,
                override=override,
                shadow=self.shadow,
            )
            if self.store.layout.counters and made.before is not made.after:
                kind = "shadow_transitions" if self.shadow else "transitions"
                self.store.counters.add(kind, self.name, made.before, made.after)
            tell(made, list(self.listeners))
        return after

    def order(
        self, name: str, change: Callable[[Record, float], Record | None], reason: str, override: Override
    ) -> bool:
        """Carry out an operator's order; False if the lock could not be had, or there was nothing to do."""
        now = self.clock.monotonic()
        self.current(now)
        self.store.refresh()
        return self.change(lambda last: change(last, now), now, reason, name, override) is not None

    def permitted(self, now: float) -> Admission | None:
        """Take a permit for a probe; None if others have all, or the lock could not be had."""
        me = self.store.me()
        permit = Permit(random.getrandbits(48) + 1, now + self.config.permit_lasts, -1 if me is None else me)

        def admitted(last: Record) -> Record | None:
            if last.override is not None and not last.override.ended(now):
                return None
            return rules.with_permit(last, self.config, now, permit, self.store.alive)

        changed = self.change(admitted, now, "the open time is over")
        return None if changed is None else Admission(changed.generation, permit.number)

    def probed(self, permit: int, outcome: Outcome, now: float) -> None:
        """Give a permit back, and close or open by the outcome of its probe."""

        def moved(last: Record) -> Record | None:
            return rules.probed(last, self.config, now, permit, outcome, random.random())  # noqa: S311

        self.change(moved, now, f"a probe ended as {outcome.name.lower()}")

    def count_trouble(self, window: Window, outcome: Outcome, now: float) -> None:
        """Count a failure or a slow call, and open if the rule says so."""
        trouble = window.add_failure(now) if outcome is FAILURE else window.add_slow()
        if not trouble:
            return
        record = self.current(now)
        if record.override is not None or record.state is not CLOSED:
            return
        totals = window.totals(now)
        if not rules.must_open(self.config, totals):
            window.bide(totals, trouble)
            return

        def opened(last: Record) -> Record | None:
            if last.generation != record.generation:
                return None
            return rules.tripped(last, self.config, now, totals.failures, random.random())  # noqa: S311

        self.change(opened, now, f"{totals.failures} failures and {totals.slow} slow of {totals.calls} calls")

    def _without_override(self, record: Record, override: Override, now: float) -> Record:
        def lifted(last: Record) -> Record | None:
            return rules.automatic(last) if last.override == override else None

        self.change(lifted, now, "the order has ended", "auto", override)
        record = self._record.read()
        # The order is over even if the lock could not be had.
        return replace(record, override=None) if record.override == override else record

    def _cause(self, window: int) -> str:
        """Return the last failure in the outage of this window; "" if no call failed."""
        last = self.store.last_errors.get(self.index)
        return last.what if last is not None and last.window == window else ""

    # --- The place in the store ---

    def detach(self) -> None:
        """Give up all places: the process was forked, its role changed, or the store was replaced."""
        self._due = -inf
        self._placed = False
        self._lock = threading.Lock()

    def _catch_up(self, now: float) -> None:
        """Find the breaker's place; if this process counts, do what is due about once a second.

        That is: carry the count over, retry counts that failed for want of a lock, and check that the store
        is still the one that other processes use.
        """
        if self._placed and self.window is None and self._holds():
            return
        if self._placed:
            self._due = now + _MEANWHILE  # one thread does it; the others need not wait for that
        self._home.refresh()
        with self._lock:
            if not self._placed or self.store is not self._home or not self._holds():
                self._take_place_locked(now)
            if self.window is not None:
                self.window.tick(now)
                self.counts.put_right()
                self._due = self.window.due

    def _take_place_locked(self, now: float) -> None:
        if not self._settle_in_locked(self._home, now):
            self._home.say_once(f"{self._key} has no place in the store: this process counts alone")
            self._own = self._own or LocalStore(ALONE)
            self._own.role = self._home.role
            self._settle_in_locked(self._own, now)
        self._placed = True

    def _settle_in_locked(self, store: Store, now: float) -> bool:
        index = 0 if store.layout is ALONE else store.breaker_names.index(self._key)
        slot = store.slot() if store.is_server else None
        if index is None or (store.is_server and slot is None):
            return False
        rows = store.layout.rows.of(index)
        window = None if slot is None else Window(store, rows, slot, self.config)
        # See Note [How a name is given back]: the window shows that this process counts there.
        if store.layout is not ALONE and not store.breaker_names.holds(index, self._key):
            if window is not None:
                window.leave()
            return False
        self.store, self.index = store, index
        self._region = Region(rows, store.layout.slots, ROW_WORDS)
        self.counts = CallCounts(store, self.name)
        self._words, self._at = store.words, store.layout.records.of(index)
        self._record.move(store, store.layout.records.of(index))
        if window is not None:
            window.begin(self._record.read().window, now)
        self.window = window
        return True

    def _holds(self) -> bool:
        """Tell whether the breaker still has its place: one that no living process uses may be given away."""
        return self.store.layout is ALONE or self.store.breaker_names.holds(self.index, self._key)

    # --- The counts ---

    def totals(self) -> Totals:
        """Return the counts of the window, of all processes."""
        record, now = self.look()
        return sum_rows(self.store, self._region.at, record.window, self.config, now)

    def rejected(self) -> int:
        """Return all refusals by all processes."""
        return self._sum(REJECTED)

    def calls(self) -> dict[tuple[str, str], int]:
        """Return all calls of all processes, by operation and outcome."""
        self.look()
        return self.counts.totals(self._sum(COUNT))

    def _sum(self, part: int) -> int:
        return sum(self.store.words[self._region.of(slot) + part] for slot in range(self.store.used_slots))


def in_use(store: Store, key: str) -> bool:
    """Tell whether a living process counts for the breaker of this key. A key without a place gets none."""
    names = store.breaker_names.all()
    return key in names and is_counted(store, store.layout.rows.of(names.index(key)))
