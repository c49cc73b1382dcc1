"""What guards in shadow would have done on this host, and what that would have saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resilience import conf, registry
from resilience.observe import health
from resilience.observe.tables import columns
from resilience.primitives.shadow import CALLS, FULL, LATE, WAITED

Totals = Mapping[tuple[str, ...], int]

_BUDGETS = ("request read", "request write")


def report() -> dict[str, Any]:
    """Return what would have been since the host's store was built, ready for JSON.

    Of each breaker: how many requests it would have `refused`; of these, how many had calls that `failed` or
    were `slow`, and how many went well, so that the refusal would have been a false alarm; how many calls
    would have been `cut` by a deadline; and the seconds of waiting that both would have spared. Of each pool:
    how many calls would have found no place. Of reads and writes: how many would have been cut, and the
    seconds of waiting after that.
    """
    totals = registry.store().counters.totals()
    return {
        "shadow": health.in_shadow(),
        "breakers": [_breaker(name, totals) for name in conf.declared_breakers()],
        "pools": {name: totals.get((FULL, name), 0) for name in conf.bulkheads()},
        "requests": {what: _cut(what, totals) for what in _BUDGETS},
    }


def table(found: Mapping[str, Any]) -> str:
    """Return a report as text for a terminal."""
    rows = [
        ("BREAKER", "WOULD BE", "OPENED", "REFUSED", "FAILED", "SLOW", "FALSE ALARMS", "CUT", "WAIT SPARED")
    ]
    rows += [
        (
            one["name"],
            one["wouldBe"] or "not in shadow",
            *(str(one[key]) for key in ("opened", "refused", "failed", "slow", "falseAlarms", "cut")),
            f"{one['secondsSpared']:.1f} s",
        )
        for one in found["breakers"]
    ]
    lines = [columns(rows)]
    lines += [
        f"{what}s: {one['cut']} would have been cut, {one['secondsSpared']:.1f} s of waiting after that"
        for what, one in found["requests"].items()
        if one["cut"]
    ]
    lines += [
        f"pool {name}: {count} would have found no place" for name, count in found["pools"].items() if count
    ]
    said = found["shadow"] or "Nothing is in shadow: these counts, if any, are of earlier."
    return "\n".join([*lines, f"Counted since the host's store was built. {said}"])


def _breaker(name: str, totals: Totals) -> dict[str, Any]:
    ended = {labels[2]: count for labels, count in totals.items() if labels[:2] == (CALLS, name)}
    would_be = registry.breaker(name).snapshot().would_be
    cut = _cut(name, totals)
    return {
        "name": name,
        "wouldBe": None if would_be is None else would_be.value,
        "opened": totals.get(("shadow_transitions", name, "CLOSED", "OPEN"), 0),
        "refused": sum(ended.values()),
        "failed": ended.get("failure", 0),
        "slow": ended.get("slow", 0),
        "falseAlarms": ended.get("success", 0) + ended.get("answered", 0),
        "cut": cut["cut"],
        "secondsSpared": cut["secondsSpared"] + totals.get((WAITED, name, "refused"), 0) / 1000,
    }


def _cut(what: str, totals: Totals) -> dict[str, Any]:
    return {
        "cut": totals.get((LATE, what), 0),
        "secondsSpared": totals.get((WAITED, what, "cut"), 0) / 1000,
    }
