"""What happened to a breaker, and telling those who want to know."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from .rules import Override, Record, State

log = logging.getLogger("resilience.breaker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of a breaker, told once on the host, by the process that made it. `at` is wall seconds.

    `order` is isolate, disable, reset or auto where an operator made it, who also gave `who`, `why`, `until`.
    """

    name: str
    before: State
    after: State
    generation: int
    at: float
    reason: str
    order: str | None = None
    who: str = ""
    why: str = ""
    until: float | None = None
    cause: str = ""
    """What failed last before it opened, in a sentence; empty where nothing failed, or it did not open."""


def between(
    before: Record,
    after: Record,
    name: str,
    now: float,
    wall: float,
    reason: str,
    *,
    cause: str,
    order: str | None,
    override: Override | None,
) -> Transition:
    """Describe the change from one record to the next, made at `now` (monotonic), which is `wall` time."""
    return Transition(
        name=name,
        # An open time that is over shows as half-open before anybody asks; it is told when it is used.
        before=before.state if before.override is None else before.shown(now),
        after=after.shown(now),
        generation=after.generation,
        at=wall,
        reason=reason,
        cause=cause,
        order=order,
        who="" if override is None else override.who,
        why="" if override is None else override.why,
        until=None if override is None or override.until is None else override.until - now + wall,
    )


def tell(transition: Transition, listeners: list[Callable[[Transition], None]]) -> None:
    """Log the change and call the listeners; what one of them raises is logged, and harms nobody."""
    log.info(
        "%s: %s to %s, %s%s",
        transition.name,
        transition.before,
        transition.after,
        transition.reason,
        transition.cause and f"; {transition.cause}",
        extra={"breaker": transition.name, "before": transition.before, "after": transition.after},
    )
    for listener in listeners:
        try:
            listener(transition)
        except Exception:
            log.exception("a listener of breaker %s failed", transition.name)
