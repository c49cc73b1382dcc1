"""The steward is killed, or stopped, while the database is away: another process takes over."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from operator import gt
from pathlib import Path

from resilience.journal.files import Journal
from tests.functional.outages import Site, open_for
from tests.patience import ROOM


@contextmanager
def outage(site: Site) -> Iterator[int]:
    """Let the breaker open; yield the process id of the steward. At the end the database is back.

    The steward may be the one that opened it: all that it has to say of that has been said by then.
    """
    site.manage("breakers", "reset", "database")
    before = told(site)
    for _ in range(20):  # so that each worker has had its first request, and has a standby
        site.ask()
    site.proxy.set("refuse")
    try:
        while site.ask().breaker != "OPEN" or not all(map(gt, told(site), before)):
            pass
        yield int(re.findall(r"process (\d+) is the steward", site.log.read_text())[-1])
    finally:
        site.proxy.set("pass")


def told(site: Site) -> tuple[int, int]:
    """Return how many openings of the breaker stand in the log, and how many in the journal."""
    journal = Journal(Path(site.variables["RESILIENCE_EVENTS_DIR"]), limit=0)
    kept = [entry for entry in journal.entries() if entry["kind"] == "transition"]
    return (
        len(re.findall("database: CLOSED to OPEN", site.log.read_text())),
        sum(entry["breaker"] == "database" and entry["data"]["after"] == "OPEN" for entry in kept),
    )


def closings(site: Site) -> int:
    return len(re.findall("database: .* to CLOSED", site.log.read_text()))


def seconds_until_closed(site: Site, before: int) -> float:
    began = time.monotonic()
    while closings(site) == before:
        assert time.monotonic() - began < open_for() + 10.0
        time.sleep(0.02)
    return time.monotonic() - began


def test_its_death_delays_no_recovery(outage_site: Site) -> None:
    with outage(outage_site) as steward:
        before = closings(outage_site)
        os.kill(steward, signal.SIGKILL)
    assert seconds_until_closed(outage_site, before) <= open_for() + 1.0 + ROOM


def test_its_stop_delays_the_recovery_by_three_seconds_at_most(outage_site: Site) -> None:
    with outage(outage_site) as steward:
        before = closings(outage_site)
        os.kill(steward, signal.SIGSTOP)
    try:
        assert seconds_until_closed(outage_site, before) <= open_for() + 3.0 + ROOM
    finally:
        os.kill(steward, signal.SIGCONT)
