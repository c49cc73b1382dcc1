"""A process has as many connections to PostgreSQL as it has requests at work, counted by the server.

`CONNECTIONS_SECONDS=120 python -m pytest tests/functional/test_connections.py` counts for two minutes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from resilience import conf
from resilience.conf import capacity
from tests.functional.outages import Site

SECONDS = float(os.environ.get("CONNECTIONS_SECONDS", "3"))
COUNT = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counted'"
NAMED = {"PGAPPNAME": "counted"}  # libpq's own variable
# More clients than one process has places.
CROWD = capacity.places(conf.bulkheads()) + 17


class AsgiSite(Site):
    """One process that serves by ASGI, where each request has a thread of its own."""

    def command(self) -> list[str | Path]:
        return [
            sys.executable,
            *("-m", "granian", "--interface", "asgi", "--workers", "1"),
            *("--port", str(self.port), "zenow.asgi:application"),
        ]


@pytest.fixture
def asgi(outage_site: Site) -> Iterator[AsgiSite]:
    with AsgiSite(outage_site.server, outage_site.proxy, workers=1, **NAMED) as site:
        yield site


@pytest.fixture
def wsgi(outage_site: Site) -> Iterator[Site]:
    with Site(outage_site.server, outage_site.proxy, workers=1, **NAMED) as site:
        yield site


def most(site: Site, *, at_once: int) -> tuple[int, Counter[int]]:
    """Ask without a pause; return the most connections that were counted meanwhile, and the answers."""
    until, counted, answers = time.monotonic() + SECONDS, 0, Counter[int]()

    def client() -> None:
        while time.monotonic() < until:
            answers[site.ask().status] += 1

    with (
        psycopg.connect(site.server.url, autocommit=True) as watcher,
        ThreadPoolExecutor(at_once) as clients,
    ):
        asking = [clients.submit(client) for _ in range(at_once)]
        while time.monotonic() < until:
            (now,) = watcher.execute(COUNT).fetchone() or (-1,)
            counted = max(counted, now)
            time.sleep(0.05)
        for each in asking:
            each.result()
    return counted, answers


def until_copied(site: Site) -> None:
    """Wait for the static copy of a site that has just started: a reader who is shed needs it."""
    limit = time.monotonic() + 30
    while json.loads(site.get("/api/health").body)["staticTier"] is None:
        assert time.monotonic() < limit
        time.sleep(0.1)


def test_are_bounded_by_what_runs_under_asgi(asgi: AsgiSite) -> None:
    counted, answers = most(asgi, at_once=4)
    assert set(answers) == {200}
    assert 1 <= counted <= 4 + capacity.BESIDE + 1


def test_are_those_of_the_places_and_three_however_many_ask(wsgi: Site) -> None:
    until_copied(wsgi)
    counted, answers = most(wsgi, at_once=CROWD)
    assert set(answers) == {200}
    assert 4 < counted <= capacity.connections(conf.bulkheads(), 1)
