"""Steering breakers: one way for the API, the commands, the admin's list and the board."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, get_args

from resilience import registry
from resilience.primitives import BreakerSnapshot, CircuitBreaker

Action = Literal["reset", "isolate", "disable", "auto"]
ACTIONS: tuple[Action, ...] = get_args(Action)
PERMISSION = "resilience.steer_breakers"

# A lock that a stopped process holds is replaced after a second; an operator waits for that.
_PATIENCE = 2.0
_PAUSE = 0.02

logger = logging.getLogger("resilience.steering")


class OrderError(ValueError):
    """The order makes no sense; the message says why, in words for who gave it."""


class UnknownBreakerError(OrderError):
    """No breaker has such a name; the message and `known` name those that there are."""

    def __init__(self, unknown: Sequence[str], known: Sequence[str]) -> None:
        super().__init__(f"no breaker {', '.join(unknown)}; there are {', '.join(known) or 'none'}")
        self.unknown = list(unknown)
        self.known = list(known)


class StoreBusyError(Exception):
    """The store's lock could not be had within 2 s, so that some breakers were not reached."""


def chosen(names: Sequence[str]) -> list[CircuitBreaker]:
    """Return the breakers of these names, all for none; raise `UnknownBreakerError`."""
    known = registry.breakers()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UnknownBreakerError(unknown, list(known))
    return [known[name] for name in dict.fromkeys(names or known)]


def steer(
    names: Sequence[str], action: Action, *, who: str, why: str, until: float | None = None
) -> list[BreakerSnapshot]:
    """Carry out an order on some breakers, or all for no names, and return how they stand then.

    It is in force on the whole host when this returns, and written down by the journal with `who` and `why`.
    `until` (wall seconds, None: for good) ends what `isolate` and `disable` begin; these need a reason.

    Raises `OrderError` before anything is done; `StoreBusyError` when its store is busy for 2 s; in a command
    `StoreUnavailableError`, where there is no store of a server.
    """
    shared = registry.host_store().kind == "host"
    why = " ".join(why.split())
    if action not in ACTIONS:
        raise OrderError(f"no action {action!r}; there are {', '.join(ACTIONS)}")
    lasting = action in ("isolate", "disable")
    if lasting and not why:
        raise OrderError(f"{action} needs a reason: others will find the order and wonder")
    if until is not None and (not lasting or until <= time.time()):
        raise OrderError(f"{action} has no end" if not lasting else "the end has passed already")
    breakers = chosen(names)
    deadline = time.monotonic() + _PATIENCE
    missed = [
        each.name
        for each in breakers
        if not _insist(_order(each, action, who, why, until), deadline)
        # A breaker that found no place in the store is this process's own: the host has not heard of it.
        or (shared and not each.shared)
    ]
    reached = [each.name for each in breakers if each.name not in missed]
    if reached:
        logger.warning(
            "%s of %s by %s: %s", action, ", ".join(reached), who or "nobody", why or "no reason given"
        )
    if missed:
        raise StoreBusyError(f"{action} did not reach {', '.join(missed)}: the store is busy")
    return [each.snapshot() for each in breakers]


def _order(
    breaker: CircuitBreaker, action: Action, who: str, why: str, until: float | None
) -> Callable[[], bool]:
    if action == "isolate":
        return partial(breaker.isolate, who=who, why=why, until=until)
    if action == "disable":
        return partial(breaker.disable, who=who, why=why, until=until)
    if action == "reset":
        return partial(breaker.reset, who=who, why=why)

    def ended() -> bool:
        # False says "busy" as well as "there is no order", which is what is wanted.
        return breaker.auto(who=who, why=why) or breaker.snapshot().override is None

    return ended


def _insist(order: Callable[[], bool], deadline: float) -> bool:
    """Give an order again until it is carried out; False when the time is over."""
    while not order():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True
