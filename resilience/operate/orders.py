"""Steering breakers: what an order is, and how it is carried out, the same for all doors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from django.http import QueryDict

from resilience import conf, registry
from resilience.primitives import BreakerSnapshot, CircuitBreaker

PERMISSION = "resilience.steer_breakers"
WORDS = {"reset": "Reset", "isolate": "Isolate", "disable": "Disable", "auto": "Back to automatic"}
"""The actions of an order, and what a page calls them."""
ENDS = {"": "until ended", "10": "10 minutes", "60": "1 hour", "480": "8 hours"}
"""How many minutes an order from a page may last, and what the page calls that."""
NAMES, REASON = 64, 200
"""The most names in an order from a client, and the most letters of its reason."""

# Actions that stay in force until they are ended.
_LASTING = ("isolate", "disable")
# A lock that a stopped process holds is replaced after a second. An operator waits for that. In seconds.
_PATIENCE = 2.0
_PAUSE = 0.02

logger = logging.getLogger("resilience.steering")


class OrderError(ValueError):
    """The order makes no sense; the message tells the operator why."""


class UnknownBreakerError(OrderError):
    """No breaker has such a name; the message and `known` list the existing ones."""

    def __init__(self, unknown: Sequence[str], known: Sequence[str]) -> None:
        super().__init__(f"no breaker {', '.join(unknown)}; there are {', '.join(known) or 'none'}")
        self.unknown = list(unknown)
        self.known = list(known)


class StoreBusyError(Exception):
    """The store's lock could not be had within 2 s, so some breakers were not reached."""


@dataclass(frozen=True, slots=True)
class Order:
    """An action, the breakers that it is for, and the reason.

    `action` is one of `WORDS`. No `names` means all. `until` (wall seconds, None: for good) ends what
    `isolate` and `disable` begin; these two need a reason.
    """

    action: str
    names: Sequence[str] = ()
    why: str = ""
    until: float | None = None

    @classmethod
    def from_form(cls, form: QueryDict) -> Order:
        """Read the form of a page: `breakers`, `action`, `reason`, and `end`, one of `ENDS`.

        Raises `OrderError`, also if no breaker is ticked: a page never means all.
        """
        names, action, end = form.getlist("breakers"), form.get("action", ""), form.get("end", "")
        if not names or action not in WORDS or end not in ENDS:
            raise OrderError("Tick the breakers that you mean, and choose what is to be done.")
        until = time.time() + int(end) * 60 if end and action in _LASTING else None
        return cls(action, names[:NAMES], form.get("reason", "")[:REASON], until)

    @property
    def lasts(self) -> bool:
        """Whether it stays in force until its end, or until another order."""
        return self.action in _LASTING


def chosen(names: Sequence[str]) -> list[CircuitBreaker]:
    """Return the breakers of these names, all for none; raise `UnknownBreakerError`."""
    known = registry.breakers()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UnknownBreakerError(unknown, list(known))
    return [known[name] for name in dict.fromkeys(names or known)]


def steer(order: Order, *, who: str) -> list[BreakerSnapshot]:
    """Carry out an order, and return snapshots of its breakers afterwards.

    When this returns, the order is in force on the whole host, and it is in the journal.

    Raises `OrderError` before anything is done, `StoreBusyError` if the store is busy for 2 s, and in a
    command `StoreUnavailableError` if there is no server's store.
    """
    shared = registry.host_store().kind == "host"
    action, why = order.action, " ".join(order.why.split())
    if action not in WORDS:
        raise OrderError(f"no action {action!r}; there are {', '.join(WORDS)}")
    if order.lasts and not why:
        raise OrderError(f"{action} needs a reason, for the operators who find the order")
    if order.until is not None and not order.lasts:
        raise OrderError(f"{action} has no end")
    if order.until is not None and order.until <= time.time():
        raise OrderError("the end has passed already")
    breakers = chosen(order.names)
    if action == "isolate" and (shadows := [each.name for each in breakers if conf.in_shadow(each.name)]):
        raise OrderError(f"{', '.join(shadows)}: in shadow, so nothing is refused; take SHADOW out first")
    deadline = time.monotonic() + _PATIENCE
    missed = [
        each.name
        for each in breakers
        if not _insist(_call(each, order, who, why), deadline)
        # A breaker without a place in the store belongs to this process alone: the order is not host-wide.
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


def _call(breaker: CircuitBreaker, order: Order, who: str, why: str) -> Callable[[], bool]:
    """Return a function that carries the order out on one breaker, and returns False if it could not."""
    if order.action == "isolate":
        return partial(breaker.isolate, who=who, why=why, until=order.until)
    if order.action == "disable":
        return partial(breaker.disable, who=who, why=why, until=order.until)
    if order.action == "reset":
        return partial(breaker.reset, who=who, why=why)

    def ended() -> bool:
        # False means "busy", or "there is no order": the second is the wanted state.
        return breaker.auto(who=who, why=why) or breaker.snapshot().override is None

    return ended


def _insist(order: Callable[[], bool], deadline: float) -> bool:
    """Repeat an order until it is carried out; return False when the deadline has passed."""
    while not order():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True
