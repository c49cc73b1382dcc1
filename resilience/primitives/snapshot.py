"""All that the host knows about a breaker at one moment."""

from dataclasses import dataclass
from typing import Literal

from .host_state import HostState
from .rules import State


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideInForce:
    """An operator's order. Times are wall seconds, `until` None means for good, `lasted` is its age."""

    kind: Literal["isolated", "disabled"]
    who: str
    why: str
    since: float
    until: float | None
    lasted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSnapshot:
    """State, counts of the window, and times. `since` is in wall seconds, `retry_after` in seconds from now.

    `lasted` is the age of the state, `last_error_age` that of the last error. Unlike `since` and
    `last_error_at` they are measured by the monotonic clock, so setting the wall clock does not change them.

    `failure_rate` is the share of failures and slow calls, within 0 and 1. `rejected` counts refusals
    since the store was built. `shared` says whether this is the state on the host or in this process alone.
    """

    name: str
    state: State
    isolated: bool
    disabled: bool
    failures: int
    successes: int
    slow: int
    calls: int
    failure_rate: float
    retry_after: float
    generation: int
    since: float | None
    lasted: float | None
    openings: int
    override: OverrideInForce | None
    last_error: str | None
    last_error_at: float | None
    last_error_age: float | None
    rejected: int
    shared: bool
    would_be: State | None = None
    """The state that one in shadow would be in; None if it is not in shadow."""


def snapshot(host_state: HostState) -> BreakerSnapshot:
    """Return a snapshot. It reads the rows of all processes, which takes a few microseconds for each."""
    record, now = host_state.look()
    store, totals = host_state.store, host_state.totals()
    wall = host_state.clock.time() - now
    override = record.override
    error = store.last_errors.get(host_state.index)
    shown = record.shown(now)
    retry_after = 0.0
    if override is not None and override.isolated:
        retry_after = host_state.config.recovery_timeout if override.until is None else override.until - now
    elif shown is State.OPEN:
        retry_after = record.until - now
    return BreakerSnapshot(
        name=host_state.name,
        state=shown,
        isolated=override is not None and override.isolated,
        disabled=override is not None and not override.isolated,
        failures=totals.failures,
        successes=totals.successes,
        slow=totals.slow,
        calls=totals.calls,
        failure_rate=(totals.failures + totals.slow) / totals.calls if totals.calls else 0.0,
        retry_after=retry_after,
        generation=record.generation,
        since=record.since + wall if record.since else None,
        lasted=now - record.since if record.since else None,
        openings=record.openings,
        override=override
        and OverrideInForce(
            kind="isolated" if override.isolated else "disabled",
            who=override.who,
            why=override.why,
            since=override.since + wall,
            until=None if override.until is None else override.until + wall,
            lasted=now - override.since,
        ),
        last_error=None if error is None else error.what,
        last_error_at=None if error is None else error.at,
        last_error_age=None if error is None else max(0.0, now - error.seen),
        rejected=host_state.rejected(),
        shared=store.kind == "host",
    )
