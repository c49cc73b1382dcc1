"""Changes of a breaker, and calling their listeners."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from .rules import Override, Record, State

log = logging.getLogger("resilience.breaker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of a breaker. Only the process that made it calls listeners. `at` is in wall seconds.

    `order` is isolate, disable, reset or auto if an operator made the change; then `who`, `why` and `until`
    are the operator's.
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
    """The last failure before it opened, in a sentence; "" if nothing failed, or it did not open."""
    shadow: bool = False
    """Whether the breaker is in shadow: it only would have changed, and refuses nothing."""


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
    shadow: bool = False,
) -> Transition:
    """Describe the change from one record to the next. `now` (monotonic) and `wall` are its time."""
    return Transition(
        name=name,
        # Once the open time is over, the state shows as half-open; listeners hear of it with the first probe.
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
        shadow=shadow,
    )


def tell(transition: Transition, listeners: list[Callable[[Transition], None]]) -> None:
    """Log the change and call the listeners; an error of one is logged and does not affect the others."""
    log.info(
        "%s%s: %s to %s, %s%s",
        "in shadow, " if transition.shadow else "",
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
