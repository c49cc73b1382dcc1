"""Redis goes away in every way there is, and no client notices more than a short wait, once."""

import json
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from resilience.primitives.ticking import Ticks
from tests.faultproxy import FaultProxy, Mode
from tests.functional.outages import Outage, Seen, open_for
from tests.functional.rated import CacheSite, ready
from tests.patience import ROOM
from tests.servers import RedisServer
from tests.servers.partner import PartnerServer


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def site(server: RedisServer) -> Iterator[CacheSite]:
    with (
        PartnerServer() as partner,
        FaultProxy(server.port) as cache,
        FaultProxy(partner.port) as wire,
        ready(CacheSite(cache=cache, partner=wire)) as site,
    ):
        site.proxy = cache
        yield site


def check(outage: Outage) -> None:
    outage.check()
    # The partner was well all along, and so was every answer.
    assert {seen.status for seen in outage.seen} == {200}


def test_a_killed_redis_costs_five_failures_over_all_workers(site: CacheSite, server: RedisServer) -> None:
    with Outage("killed", site) as outage:
        outage.begins(server.kill)
        outage.ends(server.start)
    check(outage)


def test_a_frozen_redis_holds_nobody_longer_than_one_time_out(site: CacheSite, server: RedisServer) -> None:
    with Outage("frozen", site) as outage:
        outage.begins(server.freeze)
        outage.ends(server.thaw)
    check(outage)
    assert max(seen.seconds for seen in outage.seen) < 1.0 + ROOM


@pytest.mark.parametrize(
    ("name", "mode", "delay"),
    [
        ("refused", "refuse", 0.0),
        ("slow by 5 s on the wire", "latency", 5.0),
        ("reset", "reset", 0.0),
        ("accepted but silent", "silent", 0.0),
        ("cut after half of a reply", "cut", 0.0),
    ],
)
def test_a_broken_wire_costs_five_failures(site: CacheSite, name: str, mode: Mode, delay: float) -> None:
    with Outage(name, site) as outage:
        outage.begins(lambda: site.proxy.set(mode, delay=delay))
        outage.ends(lambda: site.proxy.set("pass"))
    check(outage)


def test_a_flapping_redis_ends_no_request_in_an_error(site: CacheSite) -> None:
    with Outage("flapping every 2 s", site, may_reach=math.inf) as outage:
        outage.begins(lambda: site.proxy.set("flap", period=2.0), lasts=max(8.0, 2 * open_for()))
        outage.ends(lambda: site.proxy.set("pass"))
    outage.check(opens_by="nothing")
    assert {seen.status for seen in outage.seen} == {200}


def test_time_outs_of_workers_that_were_stopped_are_not_the_server_s(site: CacheSite) -> None:
    """A stopped process gets no processor: a wait of 0.25 s for Redis is over when it goes on."""
    ticks = Ticks()
    ticks.start()
    for tries_left in (2, 1, 0):
        began = time.monotonic()
        failures = _failures_of_stopped_workers(site)
        # The relay before Redis is in this process: where it got no processor, Redis was slow indeed.
        if not (failures and tries_left and any(came > began for _, came in ticks._late)):
            break
    assert failures == 0
    assert "cache is not blamed: process" in site.log.read_text()


def _failures_of_stopped_workers(site: CacheSite) -> int:
    assert site.manage("breakers", "reset", "cache").returncode == 0
    site.proxy.set("latency", delay=0.04)  # so that a request waits for Redis for most of its time
    seen: list[Seen] = []
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            seen.append(site.ask())

    clients = [threading.Thread(target=client) for _ in range(4)]
    for one in clients:
        one.start()
    try:
        for _ in range(6):
            time.sleep(0.15)
            stopped = site.workers()
            for worker in stopped:
                os.kill(worker, signal.SIGSTOP)
            time.sleep(0.5)
            for worker in stopped:
                os.kill(worker, signal.SIGCONT)
    finally:
        stop.set()
        for one in clients:
            one.join()
        site.proxy.set("pass")

    assert {answer.status for answer in seen} == {200}

    assert {answer.breaker for answer in seen} == {"CLOSED"}
    failures = site.breaker()["failures"]
    assert isinstance(failures, int)
    return failures


def health(site: CacheSite) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(site.get("/api/health").body)
    return found


def becomes(site: CacheSite, status: str) -> None:
    """Ask for ratings, which are stored each time, until health says so."""
    deadline = time.monotonic() + 20.0
    while health(site)["status"] != status:
        assert time.monotonic() < deadline, health(site)
        seen = site.ask()
        assert (seen.status, seen.breaker) == (200, "CLOSED")


def test_a_redis_that_became_a_replica_is_said_and_forgiven(site: CacheSite, server: RedisServer) -> None:
    """Reads go on and the breaker stays closed; the steward finds out that it takes writes again."""
    becomes(site, "healthy")
    with redis.Redis.from_url(server.url) as admin:
        admin.replicaof("127.0.0.1", "1")  # nobody there: it answers from what it has, and takes no writes
        becomes(site, "degraded")
        found = health(site)
        admin.replicaof("no", "one")

    assert found["services"]["cache"]["status"] == "degraded"
    assert any("stores nothing" in notice for notice in found["notices"])
    assert "cache:writes fails: redis.exceptions.ReadOnlyError" in site.log.read_text()
    becomes(site, "healthy")
