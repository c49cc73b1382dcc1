"""The circuit breaker as its users see it: a `circuitbreaker.CircuitBreaker` that a whole host shares.

`admitting` asks and tells, `calls` makes the calls; here it is seen and steered.
"""

from collections.abc import Callable
from math import ceil, floor

import circuitbreaker

from . import state
from .calls import CallingBreaker
from .snapshot import BreakerSnapshot, snapshot
from .state import Override, Record, State
from .transitions import Transition

_WORDS = {
    State.CLOSED: circuitbreaker.STATE_CLOSED,
    State.OPEN: circuitbreaker.STATE_OPEN,
    State.HALF_OPEN: circuitbreaker.STATE_HALF_OPEN,
}


class CircuitBreaker(CallingBreaker):
    """Refuse calls to a dependency that fails, and find out when it is back.

    All arguments may be left out. Those of the library mean what they mean there; `config` says more, and
    stands above `failure_threshold` and `recovery_timeout`. Without a `store` the breaker is this
    process's own; in one it is that of all processes that use the same `key` (by default the name).
    `classify` says what an exception counts as, in place of `expected_exception`: see `Outcome`. `describe`
    says in a line why a call failed, for the log and for operators; by default class and code.
    """

    def on_transition(self, listener: Callable[[Transition], None]) -> None:
        """Tell `listener` each transition that this process makes; what it raises is logged."""
        self._gate.listeners.append(listener)

    def isolate(self, *, who: str, why: str, until: float | None = None) -> bool:
        """Hold it open until `until` (wall seconds; None: for good). False if the store was too busy."""
        return self._order("isolate", who, why, until, isolated=True)

    def disable(self, *, who: str, why: str, until: float | None = None) -> bool:
        """Refuse nothing until `until`, and go on measuring. False if the store was too busy."""
        return self._order("disable", who, why, until, isolated=False)

    def auto(self, *, who: str, why: str) -> bool:
        """End an order. False if there was none, or the store was too busy."""
        note = self._override(who, why, None, isolated=False)
        return self._gate.order(
            "auto", lambda record, now: state.automatic(record), "back to automatic", note
        )

    def reset(self, *, who: str = "", why: str = "") -> bool:
        """Close it, forget the window and end any order. False if the store was too busy."""
        note = self._override(who, why, None, isolated=False)
        self._last_failure = None
        return self._gate.order("reset", state.reset, "reset", note)

    def _order(self, name: str, who: str, why: str, until: float | None, *, isolated: bool) -> bool:
        override = self._override(who, why, until, isolated=isolated)

        def given(record: Record, now: float) -> Record:
            return state.ordered(record, override, now)

        return self._gate.order(name, given, f"{name} by {who or 'nobody'}", override)

    def _override(self, who: str, why: str, until: float | None, *, isolated: bool) -> Override:
        clock = self._gate.clock
        now = clock.monotonic()
        ends = None if until is None else now + until - clock.time()
        return Override(isolated, who[:64], why[:200], now, ends)

    def snapshot(self) -> BreakerSnapshot:
        """Return what there is to know about it, of the whole host."""
        return snapshot(self._gate)

    @property
    def shared(self) -> bool:
        """Whether this is the host's, or the process's own for want of a place in the store. Cheap."""
        self._gate.record()
        return self._cell.store.kind == "host"

    def calls(self) -> dict[tuple[str, str], int]:
        """Return the calls of all processes since the store was built, by operation and outcome."""
        self._gate.record()
        return self._cell.calls(self._gate.name)

    def shown(self) -> State:
        """The state as people see it: `CLOSED`, `OPEN` (isolated too) or `HALF_OPEN`. Cheap."""
        record, now = self._gate.record()
        return record.shown(now)

    @property
    def state(self) -> str:
        """The state in the library's own words."""
        return _WORDS[self.shown()]

    @property
    def open_remaining(self) -> int:
        """Seconds, rounded away from zero; below zero once the open time is over."""
        record, now = self._gate.record()
        ends = self._opened + self._recovery_timeout if record.state is State.CLOSED else record.until
        return ceil(ends - now) if ends > now else floor(ends - now)

    @property
    def failure_count(self) -> int:
        """Failures in the window while closed, else those that opened it and those of probes since."""
        record, _ = self._gate.record()
        return self._gate.totals().failures if record.state is State.CLOSED else record.failures
