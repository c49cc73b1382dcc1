"""What happened in the last hour, day or month: availability, outages, recovery, fallbacks, error rates."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from resilience import registry
from resilience.journal.events import hostname
from resilience.journal.past_outages import Outage, outages
from resilience.journal.reading import Count, Entry, Reading, read
from resilience.observe.tables import columns
from resilience.primitives import State
from resilience.primitives.clock import iso
from resilience.request.answer_counts import FALLBACKS, SOURCES, UNANSWERED

SPANS = {"hour": 3_600.0, "day": 86_400.0, "month": 30 * 86_400.0}

# Seconds without a change of its open breaker, after which a host is taken to be gone.
_SILENT = 3_600.0
# The most outages that are listed, newest first; all are counted.
_LISTED = 100
# The outcomes that say something about a service; of these, the errors.
_ENDS = ("success", "failure", "slow", "answered")
_ERRORS = ("failure", "slow")


def summary(span: str | float = "day") -> dict[str, Any]:
    """Sum up a span: `hour`, `day`, `month`, or a number of seconds.

    Shares are in percent, times in seconds; None is unknown. `from` is `database` (all hosts) or `journal`
    (this host, as far back as it goes). Raises `KeyError` for an unknown span.
    """
    until = time.time()
    since = until - (SPANS[span] if isinstance(span, str) else span)

    def ask(reading: Reading) -> tuple[dict[str, int], list[Entry]]:
        return reading.sums(since), reading.changes(since)

    (sums, changes), source = read(ask)
    happened = outages(
        changes, since, until, lasts=_lasts, uptimes={hostname(): registry.clock().monotonic()}
    )
    by_source = {name: sums.get(f"responses|{name}", 0) for name in SOURCES}
    total = sum(by_source.values())
    unanswered = sum(by_source[name] for name in UNANSWERED)
    fell_back = sum(by_source[name] for name in FALLBACKS)
    return {
        "span": span,
        "since": iso(since),
        "until": iso(until),
        "from": source,
        "availability": None if not total else _percent(total - unanswered, total),
        "answers": {"total": total, "by_source": by_source},
        "fallbacks": {"answers": fell_back, "share": None if not total else _percent(fell_back, total)},
        "shed": _shed(sums),
        "services": _services(sums, happened),
        "recovery": _recovery(happened),
        "outages": [_shown(outage) for outage in happened[: -_LISTED - 1 : -1]],
        "dropped_events": sums.get("dropped|events", 0),
    }


def recent(limit: int = 50, *, kind: str = "", breaker: str = "") -> list[Entry]:
    """Return the newest events, newest first, perhaps of one kind or breaker; `at` is in wall seconds."""
    return read(lambda reading: reading.recent(limit, kind, breaker))[0]


def answers_per_minute(minutes: int = 60, *, reading: Reading | None = None) -> list[dict[str, Any]]:
    """Return the answers in each of the last minutes, oldest first: {"minute", "answers": {source: n}}.

    A minute without answers, or in which no server counted, has an empty `answers`. Give a `reading` to ask
    that alone, if the caller cannot wait for the database.
    """
    first = int(time.time() // 60) - minutes + 1
    rows: dict[int, dict[str, int]] = {minute: {} for minute in range(first, first + minutes)}
    for minute, name, grown in _grown(first, "responses|", reading):
        row, source = rows.get(minute, {}), name.partition("|")[2]
        row[source] = row.get(source, 0) + grown
    return [{"minute": iso(minute * 60), "answers": row} for minute, row in rows.items()]


def failure_rates_per_minute(
    services: Iterable[str], minutes: int = 60, *, reading: Reading | None = None
) -> dict[str, list[float | None]]:
    """Return the percentage of calls that failed or were slow in each of the last minutes, oldest first.

    None for a minute without calls, or in which no server counted. `reading` as in `answers_per_minute`.
    """
    first = int(time.time() // 60) - minutes + 1
    calls: dict[str, list[dict[str, int]]] = {name: [{} for _ in range(minutes)] for name in services}
    for minute, name, grown in _grown(first, "calls|", reading):
        labels = name.split("|")
        if len(labels) == 4 and labels[1] in calls and 0 <= minute - first < minutes:
            ended = calls[labels[1]][minute - first]
            ended[labels[3]] = ended.get(labels[3], 0) + grown
    return {name: [_rates([ended])["error_rate"] for ended in found] for name, found in calls.items()}


def _grown(first: int, prefix: str, reading: Reading | None) -> Iterator[tuple[int, str, int]]:
    """Yield the minute, the counter and its growth in that minute, from the minute `first` on."""

    def ask(place: Reading) -> list[Count]:
        return list(place.counts(first * 60.0, prefix))

    counts = read(ask)[0] if reading is None else ask(reading)
    seen: dict[tuple[str, str, str], int] = {}
    for at, series, before, total in counts:
        # Two stewards may have written the same figures: only the difference is counted.
        grown = total - max(before, seen.get(series, 0))
        if grown > 0:
            seen[series] = total
            yield int(at // 60), series[2], grown


def table(span: str | float = "day") -> str:
    """Return the summary as lines for a terminal."""
    found = summary(span)
    answers, recovery = found["answers"], found["recovery"]
    lines = [
        f"{found['since']} to {found['until']}, from the {found['from']}",
        f"availability  {_shown_percent(found['availability'])} of {answers['total']} answers",
        "answers       "
        + (", ".join(f"{name} {n}" for name, n in answers["by_source"].items() if n) or "none"),
        f"fallbacks     {_shown_percent(found['fallbacks']['share'])} of answers",
        f"outages       {len(found['outages'])}, recovery {_shown_seconds(recovery['mean'])} on average, "
        f"{_shown_seconds(recovery['longest'])} at most",
    ]
    if shed := found["shed"]["by_pool"]:
        lines.append("shed          " + ", ".join(f"{count} by {pool}" for pool, count in shed.items()))
    if found["dropped_events"]:
        lines.append(f"dropped       {found['dropped_events']} events")
    lines += ["", columns(_service_rows(found["services"]))]
    if found["outages"]:
        lines += ["", columns(_outage_rows(found["outages"]))]
    return "\n".join(lines)


def _lasts(host: str, breaker: str, changed: float) -> bool:
    """Tell whether a breaker that was last seen open still is; for this host, its store says so."""
    if host == hostname() and breaker in registry.breakers():
        return registry.breaker(breaker).shown() is not State.CLOSED
    # For another host, only the age is known: if it lived, a probe would have changed its breaker.
    return time.time() - changed < _SILENT


def _services(sums: dict[str, int], happened: list[Outage]) -> dict[str, Any]:
    operations: dict[str, dict[str, dict[str, int]]] = {}
    for name, count in sums.items():
        labels = name.split("|")
        if labels[0] == "calls" and len(labels) == 4:
            _, service, operation, outcome = labels
            operations.setdefault(service, {}).setdefault(operation, {})[outcome] = count
        elif labels[0] == "rejected" and len(labels) == 2:
            operations.setdefault(labels[1], {})
    for outage in happened:
        operations.setdefault(outage.breaker, {})
    return {
        service: _rates(found.values())
        | {
            "refused": sums.get(f"rejected|{service}", 0),
            "operations": {operation: _rates([outcomes]) for operation, outcomes in sorted(found.items())},
            "outages": sum(outage.breaker == service for outage in happened),
            "down": round(sum(outage.within for outage in happened if outage.breaker == service), 1),
            "recovery": _recovery([outage for outage in happened if outage.breaker == service]),
        }
        for service, found in sorted(operations.items())
    }


def _shed(sums: dict[str, int]) -> dict[str, Any]:
    """Return how many requests pools have sent away, in all and by pool."""
    by_pool: dict[str, int] = {}
    for name, count in sums.items():
        labels = name.split("|")
        if labels[0] == "shed" and len(labels) == 3:
            by_pool[labels[1]] = by_pool.get(labels[1], 0) + count
    return {"requests": sum(by_pool.values()), "by_pool": dict(sorted(by_pool.items()))}


def _rates(outcomes: Iterable[dict[str, int]]) -> dict[str, Any]:
    known = list(outcomes)
    calls = sum(found.get(end, 0) for found in known for end in _ENDS)
    errors = sum(found.get(end, 0) for found in known for end in _ERRORS)
    return {"calls": calls, "errors": errors, "error_rate": None if not calls else _percent(errors, calls)}


def _recovery(happened: list[Outage]) -> dict[str, float | None]:
    over = [outage.lasted for outage in happened if outage.ended is not None]
    return {
        "mean": round(sum(over) / len(over), 1) if over else None,
        "longest": round(max(over), 1) if over else None,
    }


def _shown(outage: Outage) -> dict[str, Any]:
    return {
        "breaker": outage.breaker,
        "host": outage.host,
        "began": iso(outage.began),
        "ended": None if outage.ended is None else iso(outage.ended),
        "seconds": round(outage.lasted, 1),
        "reason": outage.reason,
        "cause": outage.cause,
    }


def _percent(part: int, whole: int) -> float:
    return round(100.0 * part / whole, 3)


def _shown_percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g} %"


def _shown_seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:g} s"


def _service_rows(services: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("SERVICE", "OPERATION", "CALLS", "ERRORS", "RATE", "REFUSED", "OUTAGES", "DOWN")
    ]
    for name, found in services.items():
        rate, down = _shown_percent(found["error_rate"]), _shown_seconds(found["down"])
        counts = str(found["calls"]), str(found["errors"]), rate, str(found["refused"]), str(found["outages"])
        rows.append((name, "", *counts, down))
        rows += [
            ("", operation, str(one["calls"]), str(one["errors"]), _shown_percent(one["error_rate"]))
            for operation, one in found["operations"].items()
        ]
    return rows


def _outage_rows(listed: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        ("OUTAGE", "BEGAN", "LASTED", "HOST", "REASON"),
        *(
            (
                one["breaker"],
                one["began"],
                f"{one['seconds']:g} s" + ("" if one["ended"] else ", still"),
                one["host"],
                ": ".join(filter(None, (one["reason"], one["cause"]))),
            )
            for one in listed
        ),
    ]
