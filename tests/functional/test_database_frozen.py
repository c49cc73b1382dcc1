"""PostgreSQL is stopped under load: it accepts, acknowledges, and says nothing."""

import threading
import time

from tests.functional.outages import REACHED, Outage, Site
from tests.patience import ROOM


def test_a_frozen_database_holds_nobody_longer_than_the_budget(outage_site: Site) -> None:
    # Whoever meets silence on a kept connection asks once more on a new one: twice the connects and sends.
    with Outage("frozen", outage_site, may_reach=2 * REACHED) as outage:
        outage.begins(outage_site.server.freeze)
        outage.ends(outage_site.server.thaw)
    outage.check()


def test_liveness_is_answered_while_readers_hold_every_place_there_is(outage_site: Site) -> None:
    outage_site.manage("breakers", "reset", "database")
    outage_site.server.freeze()
    clients = [threading.Thread(target=outage_site.ask) for _ in range(40)]
    answers = []
    try:
        for client in clients:
            client.start()
        while any(client.is_alive() for client in clients):
            began = time.monotonic()
            answers.append((outage_site.get("/api/health/live").status, time.monotonic() - began))
    finally:
        outage_site.server.thaw()
        for client in clients:
            client.join()
        outage_site.manage("breakers", "reset", "database")
    assert {status for status, _ in answers} == {200}
    assert max(seconds for _, seconds in answers) <= 0.5 + ROOM
