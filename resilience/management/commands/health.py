"""Say how this host is: what its servers know, and how each dependency answers a ping now."""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand

from resilience import conf, registry
from resilience.net.pings import Ping, ask_all
from resilience.observe import health
from resilience.observe.tables import columns
from resilience.primitives import State, StoreUnavailableError

# Seconds between two looks of --watch.
_PAUSE = 2.0


class Command(BaseCommand):
    help = (
        "Say how this host is. Exit status: 0 healthy, 1 degraded or not known, 2 nothing can be served. "
        "It takes less than 5 s, whatever is frozen."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON, one object to a line")
        parser.add_argument("--watch", action="store_true", help="look again every 2 s until interrupted")

    def run_from_argv(self, argv: list[str]) -> None:
        """End the process at once, even if a thread hangs in a driver."""
        status: Any = 0
        try:
            super().run_from_argv(argv)
        except SystemExit as end:
            status = end.code
        with suppress(OSError):  # the reader of the output may have gone
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 0 if status is None else 1)

    def handle(self, *, json: bool, watch: bool, **options: Any) -> None:
        status = self._look(as_json=json)
        with suppress(KeyboardInterrupt):
            while watch:
                time.sleep(_PAUSE)
                status = self._look(as_json=json)
        if status:
            sys.exit(status)

    def _look(self, *, as_json: bool) -> int:
        found = look()
        self.stdout.write(json.dumps(found) if as_json else _table(found))
        self.stdout.flush()
        return int(found["exit"])


def look() -> dict[str, Any]:
    """Return the state in the servers' store, the answers to pings, and a list of `problems`."""
    problems: list[str] = []
    try:
        registry.host_store()
    except StoreUnavailableError as error:
        problems.append(f"no server was seen: {error}")
        served: list[str] = []
    else:
        served = registry.served()
        problems += _strangers(served)
    pings = ask_all()
    # Only breakers that a server uses: any other would be closed, and shown as healthy.
    report = health.report(served)
    problems += [
        f"{name} is {one['state']}"
        for name, one in report["services"].items()
        if one["state"] != State.CLOSED
    ]
    problems += [f"{name} was asked: {ping.error}" for name, ping in pings.items() if ping.error]
    if conf.get("FALLBACK") is not None and not any(report["fallbackData"].values()):
        problems.append("there is no static copy to answer from")
    if health.draining():
        problems.append("an operator is draining the host: the file drain")
    problems += [notice.removesuffix(".") for notice in report["notices"]]
    # Only the servers know what the other tiers hold in memory; it lasts for minutes.
    copy = health.static_copy()
    dead = _is_down("database", report, pings) and not (copy and any(copy.rows.values()))
    return {
        **report,
        "status": health.DEGRADED if problems else health.HEALTHY,
        "message": "; ".join(problems) if problems else report["message"],
        "server": bool(served),
        "pings": {
            name: {"ok": not ping.error, "seconds": round(ping.seconds, 3), "error": ping.error}
            for name, ping in pings.items()
        },
        "problems": problems,
        "exit": 2 if dead else 1 if problems else 0,
    }


def _strangers(served: list[str]) -> list[str]:
    missing = [name for name in conf.declared_breakers() if name not in served]
    if not served:
        return ["no server was seen: none counts in the store; none runs, or none had a request yet"]
    return [
        f"no server guards the {name} of these settings: it runs with others than this command"
        for name in missing
    ]


def _is_down(name: str, report: dict[str, Any], pings: dict[str, Ping]) -> bool:
    """Tell whether a dependency is down: its breaker is open, or it does not answer now."""
    state = report["services"].get(name, {}).get("state")
    return state == State.OPEN or bool(name in pings and pings[name].error)


def _table(found: dict[str, Any]) -> str:
    rows = [("SERVICE", "STATE", "FAILURES", "CALLS", "PING")]
    for name in conf.declared_breakers():
        one, ping = found["services"].get(name), found["pings"].get(name)
        seen = (
            (one["state"], str(one["failures"]), str(one["totalRequests"])) if one else ("not known", "", "")
        )
        rows.append((name, *seen, _shown(ping)))
    lines = [columns(rows)]
    lines += [
        f"pool {name}: {pool['inUse']} of {pool['limit']} in use, {pool['waiting']} wait, "
        f"{pool['shedLastMinute']} shed in the last minute"
        for name, pool in found["pools"].items()
        if pool["shedLastMinute"]
    ]
    copy = found["staticTier"]
    held = copy and ", ".join(f"{count} {name}" for name, count in copy["rows"].items())
    lines.append(f"static copy: {copy['source']} of {copy['asOf']}, {held}" if copy else "static copy: none")
    lines += [
        f"drill: {name}, fault {one['fault']}, {one['secondsLeft']:.0f} s left"
        for name, one in found["drills"].items()
    ]
    if found["shadow"]:
        lines.append(f"shadow: {found['shadow']}")
    return "\n".join([f"{found['status']}: {found['message']}", *lines])


def _shown(ping: dict[str, Any] | None) -> str:
    if ping is None:
        return "not asked"
    return ping["error"] or f"{1000 * ping['seconds']:.0f} ms"
