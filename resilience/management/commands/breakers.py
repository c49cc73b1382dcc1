"""Look at the host's breakers and steer them. It works with all dependencies down."""

from __future__ import annotations

import json
import re
import time
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from resilience import registry
from resilience.observe import history, shadow
from resilience.observe.tables import columns
from resilience.operate import orders
from resilience.operate.orders import Order, OrderError, StoreBusyError
from resilience.operate.user import user
from resilience.primitives import BreakerSnapshot, StoreUnavailableError
from resilience.primitives.clock import iso

NO_STORE = 3
"""Exit status when there is no server's store, or it stays busy."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_EVENTS = 20


class Command(BaseCommand):
    help = (
        "List the circuit breakers of this host, steer some or all of them, show their history, or report "
        "what those in shadow would have done. "
        "Exit status: 0 done, 2 a wrong name or order, 3 no server's store here."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = ["list", *orders.WORDS, "history", "report"]
        parser.add_argument("action", nargs="?", default="list", choices=actions)
        parser.add_argument("names", nargs="*", metavar="NAME", help="names of breakers (default: all)")
        parser.add_argument(
            "--reason", default="", help="why, for other operators; isolate and disable need a reason"
        )
        parser.add_argument(
            "--for",
            dest="seconds",
            type=_duration,
            metavar="10m",
            help="how long isolate or disable lasts (default: for good), or the span of the history (1d)",
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(
        self, *, action: str, names: list[str], reason: str, seconds: float | None, **options: Any
    ) -> None:
        try:
            registry.host_store()
            if action == "history":
                self.stdout.write(_history(names, seconds or _UNITS["d"], as_json=options["json"]))
                return
            if action == "report":
                found = shadow.report()
                self.stdout.write(json.dumps(found, indent=2) if options["json"] else shadow.table(found))
                return
            snapshots = _done(action, names, reason, seconds)
        except OrderError as error:
            raise CommandError(str(error), returncode=2) from error
        except (StoreUnavailableError, StoreBusyError) as error:
            raise CommandError(str(error), returncode=NO_STORE) from error
        if options["json"]:
            self.stdout.write(json.dumps([asdict(snapshot) for snapshot in snapshots], indent=2))
        else:
            self.stdout.write(_table(snapshots))
        served = registry.served()
        for name in [snapshot.name for snapshot in snapshots if snapshot.name not in served]:
            self.stderr.write(f"No server counts for this {name} now. If one runs, it has other settings.")


def _done(action: str, names: list[str], reason: str, seconds: float | None) -> list[BreakerSnapshot]:
    if action == "list":
        return [breaker.snapshot() for breaker in orders.chosen(names)]
    order = Order(action, names, reason, None if seconds is None else time.time() + seconds)
    if order.lasts and not names:
        raise OrderError(f"{action} needs the names of breakers: all at once is seldom meant")
    return orders.steer(order, who=user())


def _history(names: list[str], seconds: float, *, as_json: bool) -> str:
    orders.chosen(names)
    events = [
        entry
        for name in names or [""]
        for entry in history.recent(_EVENTS, breaker=name)
        if entry["breaker"] or entry["kind"] in ("wedged", "folder")
    ]
    events.sort(key=lambda entry: entry["at"], reverse=True)
    if as_json:
        return json.dumps({**history.summary(seconds), "events": events}, indent=2)
    lines = [
        "  ".join(
            filter(
                None,
                (iso(one["at"]), one["kind"], one["breaker"], _told(one), one["who"], one["why"]),
            )
        )
        for one in events
    ]
    return "\n".join([history.table(seconds), "", *lines])


def _told(entry: dict[str, Any]) -> str:
    data = entry["data"]
    return f"{data['before']} to {data['after']}" if "before" in data else ""


def _duration(text: str) -> float:
    """Return the seconds in `90s`, `10m`, `2h`, `1d` or `1h30m`."""
    if not re.fullmatch(r"([0-9]{1,6}[smhd])+", text):
        raise ArgumentTypeError(f"{text!r} is no duration such as 90s, 10m, 2h or 1d")
    seconds = sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([smhd])", text))
    if not 0 < seconds <= 366 * _UNITS["d"]:
        raise ArgumentTypeError(f"{text!r} is not between a second and a year")
    return seconds


def _table(snapshots: list[BreakerSnapshot]) -> str:
    rows = [("BREAKER", "STATE", "FAILURES", "SLOW", "CALLS", "REJECTED", "RETRY IN", "NOTE")]
    rows += [
        (
            found.name,
            found.state.value,
            str(found.failures),
            str(found.slow),
            str(found.calls),
            str(found.rejected),
            f"{found.retry_after:.1f} s" if found.retry_after else "",
            _note(found),
        )
        for found in snapshots
    ]
    return columns(rows)


def _note(found: BreakerSnapshot) -> str:
    order = found.override
    shadow = f"in shadow, would be {found.would_be}" if found.would_be else ""
    if order is None:
        return "; ".join(filter(None, (shadow, found.last_error)))
    until = "" if order.until is None else f" until {iso(order.until)}"
    return "; ".join(filter(None, (shadow, f"{order.kind} by {order.who}{until}: {order.why}")))
