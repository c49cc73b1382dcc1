"""A crowd of readers gets live answers; one who does not is told why, and none waits for a dead database."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from benchmarks.crowd.load import Answer, Role, load, never_asked
from benchmarks.crowd.pace import Pace
from benchmarks.crowd.sites import CrowdSite
from tests.functional.outages import BUDGET, SLACK, Site
from tests.patience import ROOM

LATE = 0.05 if ROOM else 0.0  # the share of answers for which the machine may have been too slow


@contextmanager
def beside(site: Site, **variables: str) -> Iterator[CrowdSite]:
    """Run another site on the same database and the same static copy."""
    shared = {"DATABASE_URL": site.server.url, "STATIC_DIR": site.variables["STATIC_DIR"]}
    with CrowdSite("crowd", shared | variables) as found:
        yield found


@pytest.fixture
def crowded(outage_site: Site) -> Iterator[CrowdSite]:
    with beside(outage_site) as found:
        yield found


def readers(site: CrowdSite, clients: int, seconds: float) -> list[Answer]:
    """Return what a crowd is answered that asks for lists nobody asked for before."""
    return load(site.port, [Role("readers", clients, never_asked())], seconds)["readers"]


def test_who_is_shed_is_told_that_the_site_is_busy(outage_site: Site) -> None:
    tiny = {"DJANGO_SETTINGS_MODULE": "tests.functional.tiny_pools"}
    with beside(outage_site, **tiny) as site, Pace(outage_site.server.url, "learn_course") as pace:
        pace.set(0.2)
        asked = never_asked()
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(site.get, (next(asked).path for _ in range(16))))
        health = site.get("/api/health")
    assert {answer.status for answer in answers} == {200}
    live = [answer for answer in answers if answer.headers["X-Data-Source"] == "live"]
    shed = [answer for answer in answers if answer not in live]
    assert live
    assert shed
    for answer in live:
        assert "X-Degraded-Reason" not in answer.headers
        assert "degradation" not in json.loads(answer.body)
    # On a machine that does other work a first connect may come too late: that one is "unavailable".
    assert "busy" in {answer.headers["X-Degraded-Reason"] for answer in shed}
    for answer in shed:
        assert json.loads(answer.body)["degradation"]["reason"] == answer.headers["X-Degraded-Reason"]
        assert answer.headers["X-Circuit-Breaker-DB"] == "CLOSED"
    # Both workers have shed; the host knows of all, whichever is asked.
    said = json.loads(health.body)
    busy = [answer for answer in shed if answer.headers["X-Degraded-Reason"] == "busy"]
    assert (said["status"], said["message"]) == ("degraded", "The site is busy; all services are healthy")
    assert said["pools"]["read"]["shedLastMinute"] == len(busy)
    assert health.headers["X-System-Degraded"] == "false"


def test_those_who_wait_are_let_go_when_the_database_is_killed(outage_site: Site, crowded: CrowdSite) -> None:
    server = outage_site.server
    with Pace(server.url, "learn_course") as pace:
        pace.set(0.3)  # so that there is a queue for the places
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(readers, crowded, 64, 3.0)
            time.sleep(2.0)
            killed = time.monotonic()
            try:
                server.kill()
                answers = asking.result()
            finally:
                server.start()
    assert any(each.began < killed < each.at for each in answers)
    assert {each.status for each in answers} == {200}
    assert max(each.seconds for each in answers) <= BUDGET + SLACK + ROOM
    assert "unavailable" in {each.reason for each in answers if each.at > killed}


def test_of_sixteen_gets_live_answers_while_all_is_well(crowded: CrowdSite) -> None:
    answers = readers(crowded, 16, 3.0)
    assert len(answers) >= 16
    assert {each.status for each in answers} == {200}
    assert all(each.is_closed for each in answers)
    assert Counter(each.reason for each in answers)["busy"] == 0
    # Where the machine does other work, a first connect or an answer of the server may come too late.
    late = sum(bool(each.reason) for each in answers)
    assert late <= LATE * len(answers)
