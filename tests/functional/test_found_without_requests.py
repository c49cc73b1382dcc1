"""The database dies while nobody asks for anything: the steward finds out, and the first request need not."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from tests.functional.outages import Site
from tests.patience import ROOM

LONG = 30.0


def openings(site: Site) -> int:
    return len(re.findall("database: CLOSED to OPEN", site.log.read_text()))


def seconds_until_open(site: Site, breaks: Callable[[], object], mends: Callable[[], object]) -> float:
    """Break the database of a site that has a steward; return how long its breaker stays closed."""
    site.manage("breakers", "reset", "database")
    for _ in range(20):  # so that each worker has had its first request, and has a standby
        site.ask()
    time.sleep(3.0)  # The steward may be another process after the last test.
    before, began = openings(site), time.monotonic()
    breaks()
    try:
        while openings(site) == before:
            assert time.monotonic() - began < LONG
            time.sleep(0.02)
        return time.monotonic() - began
    finally:
        mends()
        site.manage("breakers", "reset", "database")


def test_a_server_that_refuses_is_known_within_a_second_and_a_half(outage_site: Site) -> None:
    proxy = outage_site.proxy
    took = seconds_until_open(outage_site, lambda: proxy.set("refuse"), lambda: proxy.set("pass"))
    assert took <= 1.5 + ROOM


def test_a_server_that_is_silent_is_known_within_two_seconds_and_a_half(outage_site: Site) -> None:
    server = outage_site.server
    assert seconds_until_open(outage_site, server.freeze, server.thaw) <= 2.5 + ROOM
