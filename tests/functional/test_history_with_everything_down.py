"""The history is told while the database is frozen, by the server and by the command."""

import json
import time

from tests.functional.outages import Site
from tests.patience import ROOM


def test_comes_from_the_journal_within_its_time(outage_site: Site) -> None:
    outage_site.ask()
    outage_site.manage("breakers", "isolate", "cache", "--reason", "a test")
    outage_site.manage("breakers", "auto", "cache")
    try:
        outage_site.server.freeze()
        began = time.monotonic()
        told = outage_site.manage("breakers", "history", "--json")
        took = time.monotonic() - began
    finally:
        outage_site.server.thaw()
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["from"] == "journal"
    assert "isolate" in [event["kind"] for event in found["events"]]
    assert took < 5.0 + 5 * ROOM
