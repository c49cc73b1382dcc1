"""The check that the steward asks each database by our own ping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Warning

from resilience import conf
from resilience.conf.databases import BREAKER

PINGS = ("resilience.db.probe.ping", "resilience.db.probe.probe")  # its old name, too


def check_pings(**_: Any) -> Iterator[CheckMessage]:
    """W015: the steward asks each database by our ping. With another one it learns less, or nothing."""
    for name, entry in conf.get("BREAKERS").items():
        if name.partition(":")[0] != BREAKER or (ping := entry.get("ping")) in PINGS:
            continue
        yield Warning(
            f"RESILIENCE['BREAKERS']['{name}'] names " + (f"{ping} as its ping." if ping else "no ping."),
            hint=f"Name {PINGS[0]}, or call it in a function of your own and silence this. In each second it "
            "finds out whether the database is there, and asks it for what other hosts wrote: otherwise a "
            "request has to find the outage, and this host serves stored answers of before their writes.",
            id="resilience.W015",
        )
