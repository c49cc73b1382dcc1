"""What a breaker is, and how it moves: a record, and functions from one record to the next.

Nothing here reads a clock, takes a lock or touches memory that others see; `cell` does.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import NamedTuple

from .config import BreakerConfig


class State(StrEnum):
    """A state as people and clients read it."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class Outcome(IntEnum):
    """How a call ended, as far as the health of its dependency is concerned."""

    SUCCESS = 0
    FAILURE = 1
    SLOW = 2
    """Answered, but too late: no success."""
    ANSWERED = 3
    """The dependency itself answered with an error that is not its failure: a wrong password, a 4xx."""
    IGNORED = 4
    """Says nothing about the dependency: an inner rejection, an interrupt, our own spent budget."""


class Permit(NamedTuple):
    """The right to send one probe: a lease that ends at `until`, or with its holder's life (`Store.me`)."""

    number: int
    until: float
    process: int


class Override(NamedTuple):
    """What an operator ordered; times are monotonic seconds, `until` None is for good."""

    isolated: bool
    who: str
    why: str
    since: float
    until: float | None

    def ended(self, now: float) -> bool:
        return self.until is not None and now >= self.until


@dataclass(frozen=True, slots=True)
class Record:
    """All that is true of one breaker on the whole host, save the counts. Times are monotonic seconds."""

    state: State = State.CLOSED
    generation: int = 0
    """Raised by each change of state and each order; a result of an earlier one counts for nothing."""
    window: int = 0
    """The generation in which the counting began anew."""
    since: float = 0.0
    until: float = 0.0
    """When open: the end of the open time."""
    openings: int = 0
    """How often it opened in a row, without closing in between."""
    failures: int = 0
    """The failures that opened it, and those of probes since."""
    successes: int = 0
    """The successes of probes in this half-open time."""
    permits: tuple[Permit, ...] = ()
    override: Override | None = None

    def shown(self, now: float) -> State:
        """The state as people see it: isolated is open, an open time that is over is half-open."""
        if self.override is not None and not self.override.ended(now):
            return State.OPEN if self.override.isolated else State.CLOSED
        if self.state is State.OPEN and now >= self.until:
            return State.HALF_OPEN
        return self.state

    def permits_in_force(self, now: float, alive: Callable[[int], bool]) -> tuple[Permit, ...]:
        """The permits that have not lapsed and whose holders live."""
        return tuple(permit for permit in self.permits if now < permit.until and alive(permit.process))


def open_time(config: BreakerConfig, openings: int, chance: float) -> float:
    """Return how long the n-th opening in a row lasts, in seconds; `chance` is within [0, 1).

    Only a time that grows is jittered, by up to a tenth: hosts that failed together then come back apart.
    """
    if config.backoff == 1:
        return config.recovery_timeout
    most = config.max_open if config.max_open is not None else float("inf")
    try:
        grown = config.recovery_timeout * config.backoff ** (openings - 1)
    except OverflowError:
        grown = most
    # Without a cap of its own a breaker still comes back within the day.
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
    """Let one probe in; None when there are as many as may be."""
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
    """Move on by what a probe came to; None when its permit is no longer in the record."""
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
    """Isolate or disable: the state below an isolation is kept, a disabled breaker is closed."""
    if override.isolated or record.state is State.CLOSED:
        return replace(record, generation=record.generation + 1, permits=(), override=override)
    return replace(closed(record, now), override=override)


def automatic(record: Record) -> Record | None:
    """End an override; None when there is none."""
    if record.override is None:
        return None
    return replace(record, generation=record.generation + 1, override=None)


def reset(record: Record, now: float) -> Record:
    """Close, forget the window and end any override."""
    return replace(closed(record, now), override=None)


def encode(record: Record) -> Iterable[object]:
    """Return the record as what JSON can carry."""
    return (
        record.state.value,
        record.generation,
        record.window,
        record.since,
        record.until,
        record.openings,
        record.failures,
        record.successes,
        record.permits,
        record.override,
    )


def decode(values: list[object]) -> Record:
    """Read back what `encode` gave; raise `TypeError` or `ValueError` for anything else."""
    state, generation, window, since, until, openings, failures, successes, permits, override = values
    return Record(
        State(state),  # type: ignore[arg-type]
        generation,  # type: ignore[arg-type]
        window,  # type: ignore[arg-type]
        since,  # type: ignore[arg-type]
        until,  # type: ignore[arg-type]
        openings,  # type: ignore[arg-type]
        failures,  # type: ignore[arg-type]
        successes,  # type: ignore[arg-type]
        tuple(Permit(*permit) for permit in permits),  # type: ignore[attr-defined]
        None if override is None else Override(*override),  # type: ignore[misc]
    )
