"""Outages, made of what changed: from the opening of a breaker to its closing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

CHANGES = ("transition", "reset", "isolate", "disable", "auto")
"""The kinds of events that have `before` and `after` in their data."""


@dataclass(frozen=True, kw_only=True)
class Outage:
    """One breaker of one host was not closed, and not because an operator isolated it. Wall seconds."""

    began: float
    ended: float | None
    lasted: float
    """From its beginning to its end, or until now."""
    within: float
    """How much of that lies in the span that was asked for."""
    breaker: str
    host: str
    reason: str
    cause: str
    """What failed last before it opened, as the driver put it; empty where calls were only slow."""


def outages(
    changes: Iterable[dict[str, Any]],
    since: float,
    until: float,
    *,
    lasts: Callable[[str, str, float], bool] = lambda host, breaker, changed: True,
) -> list[Outage]:
    """Return the outages that reach into the span, oldest first.

    `changes`: events of the kinds `CHANGES`, oldest first, from the opening on of what was open when the span
    began. An end that nobody wrote down, because the host went away or its store was built anew, is that of
    the last change: `lasts` says of a host, a breaker and when it last changed whether it is open still.
    """
    begun: dict[tuple[str, str], dict[str, Any]] = {}
    changed: dict[tuple[str, str], float] = {}
    found: list[Outage] = []
    for change in changes:
        key, data = (change["host"], change["breaker"]), change["data"]
        opened = begun.get(key)
        if opened is not None and "CLOSED" in (data["before"], data["after"]):
            end = change["at"] if data["after"] == "CLOSED" else changed[key]
            found.append(_outage(begun.pop(key), end, since, until))
        if data["after"] != "CLOSED" and change["kind"] != "isolate":
            # Half-open and open again belong to the same outage.
            begun.setdefault(key, change)
        changed[key] = change["at"]
    for key, opened in begun.items():
        ended = None if lasts(*key, changed[key]) else changed[key]
        found.append(_outage(opened, ended, since, until))
    return sorted(
        (one for one in found if one.ended is None or one.ended >= since), key=lambda one: one.began
    )


def _outage(opened: dict[str, Any], ended: float | None, since: float, until: float) -> Outage:
    end = until if ended is None else ended
    return Outage(
        began=opened["at"],
        ended=ended,
        lasted=max(0.0, end - opened["at"]),
        within=max(0.0, end - max(opened["at"], since)),
        breaker=opened["breaker"],
        host=opened["host"],
        reason=str(opened["data"].get("reason", "")),
        cause=str(opened["data"].get("cause", "")),
    )
