"""Find outages in the changes of breakers: each lasts from an opening to the closing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CHANGES = ("transition", "reset", "isolate", "disable", "auto")
"""The kinds of events that have `before` and `after` in their data."""


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A time in which one breaker of one host was not closed, and no operator had isolated it.

    `began` and `ended` are wall seconds; `ended` is None while it goes on.
    """

    began: float
    ended: float | None
    lasted: float
    """Seconds from its beginning to its end, or until now."""
    within: float
    """How many of these seconds lie in the span that was asked for."""
    breaker: str
    host: str
    reason: str
    cause: str
    """The last failure before the breaker opened, in the driver's words; empty if calls were only slow."""


def outages(
    changes: Iterable[dict[str, Any]],
    since: float,
    until: float,
    *,
    lasts: Callable[[str, str, float], bool] = lambda host, breaker, changed: True,
    uptimes: Mapping[str, float] | None = None,
) -> list[Outage]:
    """Return the outages that reach into the span from `since` to `until` (wall seconds), oldest first.

    `changes` are events of the kinds `CHANGES`, oldest first. For a breaker that was open when the span
    began, they must begin with its opening. `lasts(host, breaker, changed)` says whether a breaker that last
    changed at `changed` is still open. If not, nobody has written down its closing, because the host went
    away or its store was built again: then the outage ends with the last change. `uptimes` are the
    monotonic seconds of now, for each host whose are known.

    Note [How long it took]
    Times are those of the wall clock, which may be set meanwhile. So events of one boot of a host are
    ordered by the monotonic seconds that they carry (`uptime`), and the time between two of them is the
    difference of these.
    """
    begun: dict[tuple[str, str], dict[str, Any]] = {}
    changed: dict[tuple[str, str], dict[str, Any]] = {}
    found: list[Outage] = []
    for change in _in_order(changes):
        key, data = (change["host"], change["breaker"]), change["data"]
        opened = begun.get(key)
        if opened is not None and "CLOSED" in (data["before"], data["after"]):
            end = change if data["after"] == "CLOSED" else changed[key]
            found.append(_outage(begun.pop(key), end, since, until, _between(opened, end)))
        if data["after"] != "CLOSED" and change["kind"] != "isolate":
            # A breaker that is half-open, or opens once more, is in the same outage.
            begun.setdefault(key, change)
        changed[key] = change
    for key, opened in begun.items():
        last = changed[key]
        if lasts(*key, last["at"]):
            now = {"at": until, "data": last["data"] | {"uptime": (uptimes or {}).get(key[0])}}
            found.append(_outage(opened, None, since, until, _between(opened, now)))
        else:
            found.append(_outage(opened, last, since, until, _between(opened, last)))
    return sorted(
        (one for one in found if one.ended is None or one.ended >= since), key=lambda one: one.began
    )


def _in_order(changes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the changes of each boot of a host in the order of their uptimes. See Note [How long it took]."""
    ordered = list(changes)
    places: dict[tuple[str, str], list[int]] = {}
    for place, change in enumerate(ordered):
        if "uptime" in change["data"]:
            places.setdefault((change["host"], change["data"]["boot"]), []).append(place)
    for taken in places.values():
        by_uptime = sorted((ordered[place] for place in taken), key=lambda one: float(one["data"]["uptime"]))
        for place, change in zip(taken, by_uptime, strict=True):
            ordered[place] = change
    return ordered


def _between(first: dict[str, Any], last: dict[str, Any]) -> float:
    """Return the seconds between two changes. See Note [How long it took]."""
    began, ended = first["data"], last["data"]
    if began.get("boot") == ended.get("boot") and None not in (began.get("uptime"), ended.get("uptime")):
        return max(0.0, float(ended["uptime"]) - float(began["uptime"]))
    return max(0.0, float(last["at"]) - float(first["at"]))


def _outage(
    opened: dict[str, Any], ended: dict[str, Any] | None, since: float, until: float, lasted: float
) -> Outage:
    return Outage(
        began=opened["at"],
        ended=None if ended is None else max(ended["at"], opened["at"]),
        lasted=lasted,
        within=min(max(0.0, until - since), max(0.0, lasted - max(0.0, since - opened["at"]))),
        breaker=opened["breaker"],
        host=opened["host"],
        reason=str(opened["data"].get("reason", "")),
        cause=str(opened["data"].get("cause", "")),
    )
