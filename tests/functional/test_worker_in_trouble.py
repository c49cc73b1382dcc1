"""A worker that lacks descriptors is alone with that: the host's breakers stay closed, others answer live.

The kind, beside descriptors: memory, threads and ports (`tests/primitives/test_own.py`, by the errors that
libraries raise), and a processor (`test_cache_outages.py`, by stopping workers in the middle of their waits).
"""

import http.client
import itertools
import json
import re
import resource
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg

from tests.functional.outages import Site

FEW = 12
LONG = 15.0


@contextmanager
def starved(worker: int) -> Iterator[None]:
    """Let a process open no file and no socket beyond those that it has."""
    usual = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (FEW, usual[1]))
    try:
        yield
    finally:
        resource.prlimit(worker, resource.RLIMIT_NOFILE, usual)


def stewards(site: Site) -> list[int]:
    return [int(found) for found in re.findall(r"process (\d+) is the steward", site.log.read_text())]


def ask(connection: http.client.HTTPConnection, number: int) -> tuple[int, str, str, bool]:
    """Ask on a kept connection for what nobody asked for; return status, source, state, is honest."""
    connection.request("GET", f"/api/courses?search=trouble{number}")
    answer = connection.getresponse()
    body = json.loads(answer.read())
    source = answer.headers.get("X-Data-Source", "none")
    honest = answer.status == 503 or (body.get("degradation") is None) == (source == "live")
    return answer.status, source, str(answer.headers["X-Circuit-Breaker-DB"]), honest


def test_a_steward_without_descriptors_opens_no_breaker_and_leaves_the_lease(outage_site: Site) -> None:
    site = outage_site
    assert site.manage("breakers", "reset", "database").returncode == 0
    kept = [http.client.HTTPConnection("127.0.0.1", site.port, timeout=10) for _ in range(12)]
    try:
        for number, connection in enumerate(kept):  # so that both workers have some, and both a standby
            ask(connection, number)
        poor = stewards(site)[-1]
        assert poor in site.workers()
        since = site.log.stat().st_size
        seen: Counter[tuple[int, str, str, bool]] = Counter()
        numbers = itertools.count(100)

        def ask_all() -> None:
            for connection in kept:
                seen[ask(connection, next(numbers))] += 1
            time.sleep(0.1)

        with starved(poor):
            with psycopg.connect(site.server.url, autocommit=True) as admin:  # so that each connects anew
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
            until = time.monotonic() + LONG
            while time.monotonic() < until and (sum(seen.values()) < 60 or stewards(site)[-1] == poor):
                ask_all()
            taken_over = stewards(site)[-1]
            with ThreadPoolExecutor(1) as pool:
                told = pool.submit(site.manage, "health")
                while not told.done():  # one that takes no connection, and has none to answer, would be ended
                    ask_all()
        after = Counter(ask(connection, next(numbers))[1] for connection in kept)
    finally:
        for connection in kept:
            connection.close()

    said = site.log.read_text()[since:]
    assert {state for _, _, state, _ in seen} == {"CLOSED"}, seen
    assert all(honest for *_, honest in seen), seen
    assert {status for status, *_ in seen} <= {200, 503}, seen
    assert sum(times for (_, source, *_), times in seen.items() if source == "live") > 0, seen
    assert taken_over != poor
    assert "A process of this host lacks descriptors" in told.result().stdout
    assert f"process {poor} gives up being the steward" in said
    assert f"database is not blamed: process {poor}" in said
    assert after.keys() == {"live"}, after
