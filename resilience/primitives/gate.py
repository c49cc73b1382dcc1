"""Who may pass, what a result changes, and what an operator orders: the breaker behind its faces."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

import circuitbreaker

from . import state
from .cell import Admission, Cell
from .clock import Clock
from .config import BreakerConfig
from .errors import BreakerOpenError
from .noting import Describe, Notes, cause
from .state import Outcome, Override, Permit, Record, State
from .store.store import Store
from .transitions import Transition, between, tell
from .window import Totals, Window, must_open

# While the first probe is under way, others are told to ask again so much later, in seconds.
_PROBE_TAKES = 1.0
# Looking a member up in its class costs as much as comparing it five times.
_SUCCESS, _FAILURE, _SLOW = Outcome.SUCCESS, Outcome.FAILURE, Outcome.SLOW
_PASS = Admission(-1, counts=False)
_probing: ContextVar[bool] = ContextVar("resilience_probing", default=False)


@contextmanager
def probing() -> Iterator[None]:
    """Mark what runs within as a steward's probe: it alone gets permits while a steward lives."""
    token = _probing.set(True)
    try:
        yield
    finally:
        _probing.reset(token)


class Gate:
    """One breaker of one store. Thread-safe; no lock is held while a call runs, or a listener."""

    def __init__(
        self,
        owner: circuitbreaker.CircuitBreaker,
        name: str,
        store: Store,
        key: str,
        config: BreakerConfig,
        clock: Clock,
        *,
        describe: Describe,
        fast: bool = True,
    ) -> None:
        self.owner = owner
        self.name = name
        self.notes = Notes(describe)
        self.config = config
        self.clock = clock
        self._now = clock.monotonic
        self.cell = Cell(store, key, config, fast=fast)
        self.listeners: list[Callable[[Transition], None]] = []

    def admit(self) -> Admission | BreakerOpenError:
        """Let a call pass, as a probe if need be, or say why not."""
        cell = self.cell
        version = cell.words[cell.at]
        if version == cell.gate:
            return cell.closed
        now = self._now()
        if version == cell.barred and now < cell.barred_until:
            # As `refuse`, written out: this is what an outage is made of.
            cell.words[cell.rejected_at] = next(cell.rejections)
            return BreakerOpenError(self.owner, self.name, cell.open_until - now, "open")
        cell.attach(now)
        if not cell.votes:
            return _PASS
        if now >= cell.due:
            cell.tick(now)
        record = self._record(now)
        if record.override is not None:
            return self._overridden(record, record.override, now)
        if record.state is State.CLOSED:
            cell.count_for(record, now)
            return (
                Admission(record.generation) if cell.closed.generation != record.generation else cell.closed
            )
        if record.state is State.OPEN and now < record.until:
            cell.bar(record, now)
            return self.refuse("open", record.until - now)
        return self._permit(record, now)

    def settle(
        self, admission: Admission, outcome: Outcome, error: BaseException | None, operation: str
    ) -> bool:
        """Take note of how an admitted call ended; False for a late result, which counts for nothing."""
        if not admission.counts:
            return True
        cell, now = self.cell, self._now()
        if now >= cell.due or admission is not cell.closed or cell.words[cell.at] != cell.gate:
            cell.attach(now)
            if now >= cell.due:
                cell.tick(now)
            record = self._record(now)
            if cell.votes and record.generation != admission.generation:
                cell.tally(self.name, operation, None)
                return False
            cell.count_for(record, now)
        window = cell.window
        if window is None:
            return True
        cell.tally(self.name, operation, outcome)
        if outcome is _SUCCESS:
            cell.words[cell.count_at] = next(cell.successes)
        elif outcome is _FAILURE and error is not None:
            self.notes.take(self.name, cell, error, now, self.clock)
        if admission.permit:
            self._probed(admission.permit, outcome, now)
        elif outcome is _FAILURE or outcome is _SLOW:
            self._trouble(window, outcome, now)
        return True

    def note_own(self, lacked: str, error: BaseException | None) -> None:
        """Count and say that a call ended by what this process lacks."""
        self.notes.take_own(self.name, self.cell, lacked, error, self._now())

    def refusal(self) -> tuple[str, float] | None:
        """Say why a call would be refused now, and when to ask again; takes no permit."""
        cell = self.cell
        if cell.words[cell.at] == cell.gate:
            return None
        now = self._now()
        cell.attach(now)
        if not cell.votes:
            return None
        record = self._record(now)
        if record.override is not None:
            return self._isolated(record.override, now) if record.override.isolated else None
        if record.state is State.CLOSED:
            return None
        if record.state is State.OPEN and now < record.until:
            return "open", record.until - now
        return self._no_permit(record, now)

    def refuse(self, reason: str, retry_after: float) -> BreakerOpenError:
        """Count a refusal and return it."""
        cell = self.cell
        cell.words[cell.rejected_at] = next(cell.rejections)
        # A new one each time: an exception that is raised again drags a longer traceback along.
        return BreakerOpenError(self.owner, self.name, retry_after, reason)

    def order(
        self, name: str, change: Callable[[Record, float], Record | None], reason: str, override: Override
    ) -> bool:
        """Carry out an operator's order; False when the lock could not be had, or nothing was to be done."""
        now = self._now()
        self.cell.attach(now)
        self.cell.store.refresh()
        return self._change(lambda record: change(record, now), now, reason, name, override) is not None

    def record(self) -> tuple[Record, float]:
        """Return the record, with an override that has ended left out, and the time."""
        now = self._now()
        self.cell.attach(now)
        record = self.cell.record.read()
        if record.override is not None and record.override.ended(now):
            record = replace(record, override=None)
        return record, now

    def totals(self) -> Totals:
        """Return what the window of all processes holds."""
        now = self._now()
        self.cell.attach(now)
        return self.cell.totals(now)

    def _record(self, now: float) -> Record:
        """Return the newest record; end an override whose time has come."""
        record = self.cell.record.read()
        override = record.override
        if override is None or not override.ended(now):
            return record

        def lifted(last: Record) -> Record | None:
            return state.automatic(last) if last.override == override else None

        self._change(lifted, now, "the order has ended", "auto", override)
        record = self.cell.record.read()
        # Without a lock to be had it is over all the same.
        return replace(record, override=None) if record.override == override else record

    def _overridden(self, record: Record, override: Override, now: float) -> Admission | BreakerOpenError:
        if override.isolated:
            return self.refuse(*self._isolated(override, now))
        self.cell.count_for(record, now)
        return Admission(record.generation)

    def _isolated(self, override: Override, now: float) -> tuple[str, float]:
        rest = self.config.recovery_timeout if override.until is None else override.until - now
        return "isolated by an operator", rest

    def _no_permit(self, record: Record, now: float) -> tuple[str, float] | None:
        """Say why no probe may be sent and when to ask again, without asking for the lock."""
        cell = self.cell
        if (
            self.config.probed
            and cell.store.layout.shared
            and not _probing.get()
            and cell.store.lease.holder(now) is not None
        ):
            return "waiting for the steward's probe", _PROBE_TAKES
        if record.state is State.HALF_OPEN:
            in_force = record.permits_in_force(now, cell.store.alive)
            if len(in_force) >= self.config.half_open_max_calls:
                rest = min(permit.until for permit in in_force) - now
                return "a probe is under way", min(rest, _PROBE_TAKES)
        return None

    def _permit(self, record: Record, now: float) -> Admission | BreakerOpenError:
        cell = self.cell
        refusal = self._no_permit(record, now)
        if refusal is not None:
            return self.refuse(*refusal)
        me = cell.store.me()
        permit = Permit(
            random.getrandbits(48) + 1,
            now + self.config.permit_lasts,
            -1 if me is None else me,
        )

        def admitted(last: Record) -> Record | None:
            if last.override is not None and not last.override.ended(now):
                return None
            return state.with_permit(last, self.config, now, permit, cell.store.alive)

        changed = self._change(admitted, now, "the open time is over")
        if changed is None:
            return self.refuse("a probe is under way", _PROBE_TAKES)
        return Admission(changed.generation, permit=permit.number)

    def _probed(self, permit: int, outcome: Outcome, now: float) -> None:
        def moved(last: Record) -> Record | None:
            return state.probed(last, self.config, now, permit, outcome, random.random())  # noqa: S311

        self._change(moved, now, f"a probe ended as {outcome.name.lower()}")

    def _trouble(self, window: Window, outcome: Outcome, now: float) -> None:
        """Count a failure or a slow call, and open if the rule says so."""
        trouble = window.add_failure(now) if outcome is _FAILURE else window.add_slow()
        if not trouble:
            return
        record = self._record(now)
        if record.override is not None or record.state is not State.CLOSED:
            return
        totals = window.totals(now)
        if not must_open(self.config, totals):
            window.bide(totals, trouble)
            return

        def opened(last: Record) -> Record | None:
            if last.generation != record.generation:
                return None
            return state.tripped(last, self.config, now, totals.failures, random.random())  # noqa: S311

        self._change(
            opened, now, f"{totals.failures} failures and {totals.slow} slow of {totals.calls} calls"
        )

    def _change(
        self,
        change: Callable[[Record], Record | None],
        now: float,
        reason: str,
        order: str | None = None,
        override: Override | None = None,
    ) -> Record | None:
        """Write what `change` makes of the record, and tell the listeners; None if nothing was written."""
        before: list[Record] = []

        def noted(last: Record) -> Record | None:
            before[:] = [last]
            return change(last)

        after = self.cell.update(noted)
        if after is not None and after.generation != before[0].generation:
            change_made = between(
                before[0],
                after,
                self.name,
                now,
                self.clock.time(),
                reason,
                cause=cause(self.cell, after.window) if after.state is State.OPEN and not order else "",
                order=order,
                override=override,
            )
            if self.cell.store.layout.counters and change_made.before is not change_made.after:
                self.cell.store.counters.add("transitions", self.name, change_made.before, change_made.after)
            tell(change_made, list(self.listeners))
        return after
