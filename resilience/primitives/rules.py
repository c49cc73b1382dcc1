"""The rules of a breaker: its record, when it opens, and functions from one record to the next.

Nothing here reads a clock, takes a lock or touches shared memory; `host_state` does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

from .config import BreakerConfig


class State(StrEnum):
    """A state, as people and clients see it."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class Outcome(IntEnum):
    """What the end of a call says about the health of its dependency."""

    SUCCESS = 0
    FAILURE = 1
    SLOW = 2
    """Answered, but after `slow_after`: no success."""
    ANSWERED = 3
    """The dependency answered with an error that is not its own failure: a wrong password, a 4xx."""
    IGNORED = 4
    """Says nothing about the dependency: an inner refusal, an interrupt, a budget that we had spent."""


# A look-up of these names costs a tenth of one in the class, and each call needs several.
CLOSED, OPEN, HALF_OPEN = State
SUCCESS, FAILURE, SLOW, ANSWERED, IGNORED = Outcome


class Permit(NamedTuple):
    """The right to send one probe. It ends at `until`, or when its holder (`Store.me`) dies."""

    number: int
    until: float
    process: int


class Override(NamedTuple):
    """An operator's order that lasts. Times are monotonic seconds; `until` None means for good."""

    isolated: bool
    who: str
    why: str
    since: float
    until: float | None

    def ended(self, now: float) -> bool:
        return self.until is not None and now >= self.until


class Admission:
    """The permission to make calls in one generation, perhaps as a probe. `counts` is False in commands."""

    __slots__ = ("counts", "generation", "permit")

    def __init__(self, generation: int, permit: int = 0, *, counts: bool = True) -> None:
        self.generation = generation
        self.permit = permit
        self.counts = counts


@dataclass(frozen=True, slots=True)
class Record:
    """All that is true of one breaker on the host, but for its counts. Times are monotonic seconds."""

    state: State = State.CLOSED
    generation: int = 0
    """Raised by each change of state and each order; outcomes of an earlier generation do not count."""
    window: int = 0
    """The generation in which its window of counts began."""
    since: float = 0.0
    until: float = 0.0
    """When open: the end of the open time."""
    openings: int = 0
    """How many times it opened in a row, without closing in between."""
    failures: int = 0
    """The failures that opened it, and those of probes since."""
    successes: int = 0
    """The successes of probes in this half-open time."""
    permits: tuple[Permit, ...] = ()
    override: Override | None = None
    admission: Admission | None = field(init=False, compare=False, repr=False)
    """The admission of calls; None while they are refused, or have to be probes."""

    def __post_init__(self) -> None:
        passes = self.state is CLOSED if self.override is None else not self.override.isolated
        object.__setattr__(self, "admission", Admission(self.generation) if passes else None)

    def shown(self, now: float) -> State:
        """The state as people see it: isolated is open; open is half-open once the open time is over."""
        if self.override is not None and not self.override.ended(now):
            return State.OPEN if self.override.isolated else State.CLOSED
        if self.state is State.OPEN and now >= self.until:
            return State.HALF_OPEN
        return self.state

    def permits_in_force(self, now: float, alive: Callable[[int], bool]) -> tuple[Permit, ...]:
        """The permits that have not ended and whose holders live."""
        return tuple(permit for permit in self.permits if now < permit.until and alive(permit.process))


class Totals(NamedTuple):
    """The counts of the window. `unbroken`: failures since the last success of any process."""

    failures: int = 0
    slow: int = 0
    successes: int = 0
    unbroken: int = 0

    @property
    def calls(self) -> int:
        return self.failures + self.slow + self.successes


def must_open(config: BreakerConfig, totals: Totals) -> bool:
    """Tell whether a closed breaker opens. This is the whole rule.

    With F failures and S slow calls among the calls of the window it opens if

    (a) F is at least `failure_threshold`, and no call has succeeded since the oldest of the last
        `failure_threshold` failures: the dependency is gone, whatever the volume; or
    (b) F + S is at least `failure_threshold`, the calls are at least `minimum_volume`, and F + S is at
        least `failure_rate` of them: the dependency is no use.

    For (a) a slow call neither ends the run of failures, since it is no success, nor lengthens it. Calls
    that were ignored, or that the dependency answered with an error, are not counted at all. A few failures
    among many successes never open it.
    """
    threshold = config.failure_threshold
    if totals.failures >= threshold and totals.unbroken >= threshold:
        return True
    trouble = totals.failures + totals.slow
    return (
        trouble >= threshold
        and totals.calls >= config.minimum_volume
        and trouble >= config.failure_rate * totals.calls
    )


def cut_short(config: BreakerConfig, took: float, limit: float) -> Outcome:
    """Return what a wait counts as that this process ended after `took` seconds, without an answer.

    Within `limit` seconds a dependency that works would have answered: so long a wait is a failure. A shorter
    one is slow like any other call of that length. If it is not even slow, the caller had spent its time
    elsewhere, for example while it waited for its place, which says nothing about the dependency.
    """
    if took >= limit:
        return Outcome.FAILURE
    return Outcome.IGNORED if config.slow_after is None or took <= config.slow_after else Outcome.SLOW


def open_time(config: BreakerConfig, openings: int, chance: float) -> float:
    """Return how many seconds the n-th opening in a row lasts; `chance` is a random number in [0, 1).

    Only a time that grows has a jitter, of up to a tenth: hosts that failed together then probe apart.
    """
    if config.backoff == 1:
        return config.recovery_timeout
    most = config.max_open if config.max_open is not None else float("inf")
    try:
        grown = config.recovery_timeout * config.backoff ** (openings - 1)
    except OverflowError:
        grown = most
    # Without `max_open`, it is still no more than a day.
    return min(grown, most, 86_400.0) * (1 - 0.1 * chance)


def tripped(record: Record, config: BreakerConfig, now: float, failures: int, chance: float) -> Record:
    """Open, from closed or from half-open."""
    openings = record.openings + 1
    return replace(
        record,
        state=State.OPEN,
        generation=record.generation + 1,
        since=now,
        until=now + open_time(config, openings, chance),
        openings=openings,
        failures=failures,
        successes=0,
        permits=(),
    )


def closed(record: Record, now: float) -> Record:
    """Close, and forget the window."""
    generation = record.generation + 1
    return Record(generation=generation, window=generation, since=now, override=record.override)


def with_permit(
    record: Record, config: BreakerConfig, now: float, permit: Permit, alive: Callable[[int], bool]
) -> Record | None:
    """Give a permit for one more probe; None if `half_open_max_calls` have one."""
    if record.state is State.OPEN:
        if now < record.until:
            return None
        return replace(
            record,
            state=State.HALF_OPEN,
            generation=record.generation + 1,
            since=now,
            successes=0,
            permits=(permit,),
        )
    in_force = record.permits_in_force(now, alive)
    if record.state is not State.HALF_OPEN or len(in_force) >= config.half_open_max_calls:
        return None
    return replace(record, permits=(*in_force, permit))


def probed(
    record: Record, config: BreakerConfig, now: float, number: int, outcome: Outcome, chance: float
) -> Record | None:
    """Close, open or go on probing, by a probe's outcome; None if its permit is no longer in the record."""
    rest = tuple(permit for permit in record.permits if permit.number != number)
    if len(rest) == len(record.permits):
        return None
    if outcome is Outcome.IGNORED:
        return replace(record, permits=rest)
    if outcome in (Outcome.FAILURE, Outcome.SLOW):
        return tripped(record, config, now, record.failures + 1, chance)
    if record.successes + 1 >= config.success_threshold:
        return closed(record, now)
    return replace(record, successes=record.successes + 1, permits=rest)


def ordered(record: Record, override: Override, now: float) -> Record:
    """Isolate or disable. Isolating keeps the state, to go back to; disabling closes the breaker."""
    if override.isolated or record.state is State.CLOSED:
        return replace(record, generation=record.generation + 1, permits=(), override=override)
    return replace(closed(record, now), override=override)


def automatic(record: Record) -> Record | None:
    """End an order; None if there is none."""
    if record.override is None:
        return None
    return replace(record, generation=record.generation + 1, override=None)


def reset(record: Record, now: float) -> Record:
    """Close, forget the window and end any order."""
    return replace(closed(record, now), override=None)


def encode(record: Record) -> list[object]:
    """Return the record as a list for JSON."""
    return [getattr(record, part.name) for part in fields(record) if part.init]


def decode(values: list[Any]) -> Record:
    """Return the record of a list from `encode`; raise `TypeError` or `ValueError` for anything else."""
    state, *numbers, permits, override = values
    permits = tuple(Permit(*permit) for permit in permits)
    parts: list[Any] = [State(state), *numbers, permits, override and Override(*override)]
    return Record(*parts)
