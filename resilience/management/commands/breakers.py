"""Look at the host's breakers and steer them, from a process that is no server, with everything down."""

import getpass
import json
import os
import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from resilience import registry
from resilience.primitives import BreakerSnapshot, CircuitBreaker, StoreUnavailableError

# A lock that a stopped process holds is replaced after a second; an operator waits for that.
_PATIENCE = 2.0
_PAUSE = 0.02

NO_STORE = 3
"""Exit status when there is no store to look into."""


class Command(BaseCommand):
    help = "List the circuit breakers of this host, or reset some or all of them."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", nargs="?", default="list", choices=["list", "reset"])
        parser.add_argument("names", nargs="*", metavar="NAME", help="which breakers (all unless named)")
        parser.add_argument("--reason", default="", help="why, for those who look later")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *, action: str, names: list[str], reason: str, **options: Any) -> None:
        try:
            registry.host_store()
        except StoreUnavailableError as error:
            raise CommandError(str(error), returncode=NO_STORE) from error
        breakers = _chosen(names)
        if action == "reset":
            for breaker in breakers:
                _insist(breaker, who=_user(), why=reason)
        snapshots = [breaker.snapshot() for breaker in breakers]
        if options["json"]:
            self.stdout.write(json.dumps([asdict(snapshot) for snapshot in snapshots], indent=2))
        else:
            self.stdout.write(_table(snapshots))


def _chosen(names: list[str]) -> list[CircuitBreaker]:
    known = registry.breakers()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CommandError(
            f"no breaker {', '.join(unknown)}; there are {', '.join(known) or 'none'}", returncode=2
        )
    return [known[name] for name in names or known]


def _user() -> str:
    """Return who runs this: a name, or the number of a user without one, as containers have them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # KeyError until Python 3.12
        return str(os.geteuid())


def _insist(breaker: CircuitBreaker, *, who: str, why: str) -> None:
    """Reset a breaker, however busy its store is."""
    deadline = time.monotonic() + _PATIENCE
    while not breaker.reset(who=who, why=why):
        if time.monotonic() > deadline:
            raise CommandError(f"{breaker.name} could not be reset: its store is busy", returncode=NO_STORE)
        time.sleep(_PAUSE)


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
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _note(found: BreakerSnapshot) -> str:
    if found.override is not None:
        return f"{found.override.kind} by {found.override.who}: {found.override.why}"
    return found.last_error or ""
