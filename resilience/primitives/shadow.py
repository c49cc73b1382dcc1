"""Guards in shadow: they refuse nothing and cut nothing, and count what they would have done.

A site that wants to know what its guards would do, before they do it, has them in shadow. A breaker counts
its calls as ever, and opens and closes within; people see it closed. What it would have refused is made, and
counted by how it ended: `refused`. The counts lie in the store, so that all processes of a host share them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from .breaker import Call, CircuitBreaker
from .bulkhead import Bulkhead
from .clock import SYSTEM_CLOCK, Clock
from .errors import BreakerOpenError
from .refusing import Refused, is_probing
from .rules import ANSWERED, FAILURE, IGNORED, SLOW, SUCCESS, Admission, Outcome, State
from .snapshot import BreakerSnapshot
from .store import Store
from .waiting import Look

# What a breaker would have refused.
_WOULD_REFUSE = Admission(-1, counts=False)

# The first labels of the counters. CALLS: calls that a breaker would have refused, by how they ended.
# LATE: what would have been cut. FULL: calls that would have found no place. WAITED: milliseconds of waiting
# that a refusal or a cut would have spared.
CALLS, LATE, FULL, WAITED = "shadow_calls", "shadow_late", "shadow_full", "shadow_waited_ms"


class _Block:
    """What would have been in one request so far."""

    __slots__ = ("cut", "refused")

    def __init__(self) -> None:
        self.cut = False
        """Whether a call was late, so that a cut would have ended the request."""
        self.refused: dict[str, tuple[Outcome, float]] = {}
        """By breaker, of what it would have refused: the worst end, and the seconds of all calls."""


_block: ContextVar[_Block | None] = ContextVar("resilience_shadow_block", default=None)
# From the worst on.
_ENDS = (FAILURE, SLOW, SUCCESS, ANSWERED, IGNORED)


@contextmanager
def as_one(store: Store) -> Iterator[None]:
    """Count the calls in the block that a breaker would refuse as one, since a refusal would end the rest.

    It counts by its worst call, and its time is that of all. None counts after a call that would be cut.
    """
    block = _Block()
    token = _block.set(block)
    try:
        yield
    finally:
        _block.reset(token)
        for name, (outcome, took) in block.refused.items():
            note_refused(store, name, outcome, took)


def note_refused(store: Store, name: str, outcome: Outcome, took: float) -> None:
    """Count a call that the breaker `name` would have refused. It took `took` seconds."""
    block = _block.get()
    if block is not None:
        if name in block.refused or not block.cut:
            worst, sum_so_far = block.refused.get(name, (outcome, 0.0))
            block.refused[name] = min(worst, outcome, key=_ENDS.index), sum_so_far + took
        return
    store.counters.add(CALLS, name, outcome.name.lower())
    if outcome is FAILURE or outcome is SLOW:
        store.counters.add(WAITED, name, "refused", amount=round(1000 * took))


def note_late(store: Store, name: str, late: float, *, ends: bool = True) -> None:
    """Count something that would have been cut `late` seconds before it ended.

    In `as_one` nothing counts after a cut that `ends` the request.
    """
    if (block := _block.get()) is not None:
        if block.cut:
            return
        block.cut = ends
    store.counters.add(LATE, name)
    store.counters.add(WAITED, name, "cut", amount=round(1000 * late))


def note_full(store: Store, pool: str) -> None:
    """Count a call that would have found no place in `pool`."""
    store.counters.add(FULL, pool)


@contextmanager
def measured(limit: float, late: Callable[[float], None], clock: Clock = SYSTEM_CLOCK) -> Iterator[None]:
    """Call `late` with the seconds for which the block went on after `limit` seconds, if it did."""
    began = clock.monotonic()
    try:
        yield
    finally:
        beyond = clock.monotonic() - began - limit
        if beyond > 0.0:
            late(beyond)


class OverdueError(TimeoutError):
    """In shadow a call took longer than its limit, and would have been cut. It is counted, never raised."""


@contextmanager
def counted_as_cut(
    call: Call, limit: float, late: Callable[[float], None], clock: Clock = SYSTEM_CLOCK
) -> Iterator[None]:
    """Make the block as `call` of a breaker. If it takes more than `limit` seconds it counts as a failure.

    So a breaker in shadow opens by calls that would be cut, as it does where they are. `late` is called with
    the seconds beyond the limit, unless the call would have been refused.
    """
    call.__enter__()
    began, ended = clock.monotonic(), None
    try:
        yield
    except BaseException as error:
        ended = error
        raise
    finally:
        beyond = clock.monotonic() - began - limit
        if beyond > 0.0:
            if call.admission.counts:
                late(beyond)
            call.judge = _as_failure
            ended = OverdueError(f"would have been cut after {limit:g} s")
        call.__exit__(None if ended is None else type(ended), ended, None)


def _as_failure(_call: Call, _error: BaseException) -> Outcome:
    return FAILURE


class ShadowBreaker(CircuitBreaker):
    """A breaker that refuses nothing, shows itself closed, and counts in `counted_in` what it would refuse.

    Within `probing()` it is like any other breaker: so the steward probes it, and it closes again.
    """

    def __init__(self, *args: Any, counted_in: Store, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._host.shadow = True
        self._counted_in = counted_in

    def admit(self) -> Admission:
        """Admit a call, whatever the state."""
        try:
            return super().admit()
        except BreakerOpenError:
            if is_probing():
                raise
            return _WOULD_REFUSE

    def settle(
        self,
        admission: Admission,
        outcome: Outcome,
        *,
        error: BaseException | None = None,
        operation: str = "call",
        took: float = 0.0,
    ) -> None:
        """Count how a call ended; apart from the others if it would have been refused."""
        if admission is not _WOULD_REFUSE:
            super().settle(admission, outcome, error=error, operation=operation, took=took)
            return
        if outcome is not SUCCESS or took > self._slow_after:
            outcome = self._fair(outcome, error, took, self._now())
        note_refused(self._counted_in, self._host.name, outcome, took)

    def shown(self) -> State:
        """Closed; within `probing()` the state as it would be."""
        return super().shown() if is_probing() else State.CLOSED

    def snapshot(self) -> BreakerSnapshot:
        """Return all that the host knows about it: closed, with the state as it would be beside."""
        found = super().snapshot()
        if is_probing():
            return found
        return replace(found, state=State.CLOSED, would_be=found.state, isolated=False, retry_after=0.0)

    def _why_refusing(self) -> Refused | None:
        return super()._why_refusing() if is_probing() else None

    def _refusal(self, refused: Refused) -> BreakerOpenError:
        # It counts no refusal, since there is none.
        reason, retry_after = refused
        return BreakerOpenError(self, self._host.name, retry_after, reason)


class ShadowBulkhead(Bulkhead):
    """A bulkhead in which everybody runs at once; `full` is called for each who would have found no place."""

    def __init__(self, *args: Any, full: Callable[[], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._full = full

    @contextmanager
    def enter(self, *, first: bool = False, look: Look | None = None) -> Iterator[bool]:
        """Hold a place for the block, without a wait and however many there are."""
        places = self._places
        with self._threads.lock:
            refused = self._would_be_full_locked()
            counted = not refused and self._threads.take_locked()
            places.running += 1
        if refused:
            self._full()
        began = self._clock.monotonic()
        try:
            self._changed()
            yield False
        finally:
            self._leave(places, counted, self._clock.monotonic() - began)

    def _would_be_full_locked(self) -> bool:
        """Tell whether one more would find no place: those beyond `running` would be the queue."""
        places, config = self._places, self.config
        queue = places.running - config.running
        if queue < 0:
            return not self._threads.may_run_locked()
        return (
            queue >= config.waiting
            or not self._threads.may_wait_locked()
            or (queue + 1) * places.held_for / config.running > config.max_wait
        )
