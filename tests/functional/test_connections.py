"""A process has as many connections to PostgreSQL as it has requests at work, counted by the server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.functional.outages import Site

AT_ONCE = 4
MOST = 8  # of one process: those, and the steward's ping and chores beside them
COUNT = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'asgi'"


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
    named = {"PGAPPNAME": "asgi"}  # libpq's own variable
    with AsgiSite(outage_site.server, outage_site.proxy, workers=1, **named) as site:
        yield site


def test_are_bounded_by_what_runs_under_asgi(asgi: AsgiSite) -> None:
    most = 0
    with (
        psycopg.connect(asgi.server.url, autocommit=True) as watcher,
        ThreadPoolExecutor(AT_ONCE) as clients,
    ):
        for _ in range(10):
            answers = [clients.submit(asgi.ask) for _ in range(AT_ONCE)]
            assert {answer.result().status for answer in answers} == {200}
            (now,) = watcher.execute(COUNT).fetchone() or (-1,)
            most = max(most, now)
    assert 1 <= most <= MOST
