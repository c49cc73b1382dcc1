"""Outages, made of what changed: from the opening of a breaker to its closing."""

from __future__ import annotations

from collections.abc import Iterable
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


def outages(changes: Iterable[dict[str, Any]], since: float, until: float) -> list[Outage]:
    """Return the outages that reach into the span, oldest first.

    `changes`: events of the kinds `CHANGES`, oldest first; the first of a breaker says how the span began.
    """
    begun: dict[tuple[str, str], dict[str, Any]] = {}
    found: list[Outage] = []
    for change in changes:
        key, data = (change["host"], change["breaker"]), change["data"]
        if data["after"] == "CLOSED":
            opened = begun.pop(key, None)
            if opened is not None and change["at"] >= since:
                found.append(_outage(opened, change["at"], since, until))
        elif change["kind"] != "isolate":
            # Half-open and open again belong to the same outage.
            begun.setdefault(key, change)
    found += [_outage(opened, None, since, until) for opened in begun.values()]
    return sorted(found, key=lambda outage: outage.began)


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
    )
