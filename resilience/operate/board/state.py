"""What the board shows. It comes from the store and this host's journal, so no server is asked."""

from __future__ import annotations

import time
from typing import Any

from resilience import faults, registry
from resilience.journal.reading import FromJournal
from resilience.observe import health, history
from resilience.primitives.clock import iso
from resilience.primitives.store import Fault

_EVENTS = 60
_MINUTES = 60
# The least seconds between two readings of the journal.
_READ_EVERY = 5.0

# What each kind of fault does to the calls of a dependency, or to its server.
_BROKEN_CALLS = {
    "error": "fail",
    "latency": "take {seconds:g} s longer",
    "hang": "hang",
    "flap": "fail and go through in turn, {seconds:g} s each",
}
_BROKEN_SERVERS = {"kill": "its server was killed", "freeze": "its server is frozen"}

_read: tuple[float, dict[str, Any]] = (-_READ_EVERY, {})  # replaced as a whole: two threads may read at once


def state() -> dict[str, Any]:
    """Return everything on the board, ready for JSON."""
    return {
        "health": health.report(),
        "breakers": [health.breaker(each.snapshot()) for each in registry.breakers().values()],
        "drills": faults_in_words(),
        **_from_journal(),
    }


def faults_in_words() -> list[dict[str, Any]]:
    """Return the faults in force, in words, and how many seconds each has left."""
    now = time.monotonic()
    return [
        {
            "breaker": name,
            "what": _told(fault),
            "who": fault.who,
            "secondsLeft": round(fault.left(now)),
        }
        for name, fault in faults.active().items()
    ]


def _told(fault: Fault) -> str:
    if fault.kind in _BROKEN_SERVERS:
        return _BROKEN_SERVERS[fault.kind]
    calls = "all calls" if fault.share == 1 else f"{100 * fault.share:g} % of the calls"
    return f"{calls} {_BROKEN_CALLS[fault.kind].format(seconds=fault.seconds)}"


def _from_journal() -> dict[str, Any]:
    global _read
    at, known = _read
    now = time.monotonic()
    if now - at >= _READ_EVERY:
        reading = FromJournal()
        known = {
            "answers": history.answers_per_minute(_MINUTES, reading=reading),
            "rates": history.failure_rates_per_minute(registry.breakers(), _MINUTES, reading=reading),
            "events": [_shown(event) for event in reading.recent(_EVENTS, "", "")],
        }
        _read = now, known
    return known


def _shown(event: dict[str, Any]) -> dict[str, Any]:
    data = event.get("data") or {}
    before, after = str(data.get("before", "")), str(data.get("after", ""))
    change = f"{before} → {after}" if before != after else ""
    # The reason of an order only repeats who gave it.
    told = event.get("why") or ("" if event.get("who") else data.get("reason", ""))
    cause = str(data.get("cause", ""))
    return {
        "at": iso(float(event["at"])),
        "kind": event["kind"].replace("_", " "),
        "breaker": event.get("breaker", ""),
        "before": before,
        "after": after,
        "who": event.get("who", ""),
        "what": ": ".join(filter(None, (change, str(told), cause))),
    }
