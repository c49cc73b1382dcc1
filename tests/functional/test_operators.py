"""Operators beside a running site: what they see and order while its database and cache are frozen."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.patience import ROOM
from tests.servers import PostgresServer, RedisServer
from tests.servers.site import Answer, SiteServer

TOKEN = "0123456789abcdef" * 2
OPERATOR = f"Bearer {TOKEN}"
RESET = "/api/admin/reset-circuit-breakers"
TIMES = 200


@pytest.fixture(scope="module")
def frozen() -> Iterator[SiteServer]:
    """A site with two workers that was well, and whose database and cache then stopped for good."""
    with PostgresServer() as postgres, RedisServer() as redis:
        site = SiteServer(DATABASE_URL=postgres.url, REDIS_URL=redis.url, OPS_TOKEN=TOKEN)
        for command in (["migrate"], ["loaddata", "fixtures/categories.json"], ["fallback", "export"]):
            assert site.manage(*command, "--verbosity=0").returncode == 0
        with site:
            for _ in range(40):
                assert site.get("/api/categories").status == 200
            postgres.freeze()
            redis.freeze()
            try:
                yield site
            finally:
                postgres.thaw()
                redis.thaw()


def slowest(ask: Callable[[], Answer]) -> float:
    """Ask so often, each time on a connection of its own; return the longest time in seconds."""
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        answer = ask()
        times.append(time.perf_counter() - began)
        assert answer.status == 200, answer.body
    return max(times)


def shown(site: SiteServer, header: str = "X-Circuit-Breaker-External-API") -> set[str | None]:
    """Return the states that many connections are told; the kernel spreads them over the workers."""
    return {site.get("/api/health/live").headers[header] for _ in range(40)}


class TestWithEverythingFrozen:
    def test_health_answers_at_once(self, frozen: SiteServer, record_property: Callable[..., None]) -> None:
        took = slowest(lambda: frozen.get("/api/health"))
        record_property("slowest", took)
        assert took < 0.5 + ROOM, took

    def test_a_reset_is_done_at_once(self, frozen: SiteServer, record_property: Callable[..., None]) -> None:
        took = slowest(lambda: frozen.post(RESET, Authorization=OPERATOR))
        record_property("slowest", took)
        assert took < 0.5 + ROOM, took

    def test_the_board_answers_at_once(
        self, frozen: SiteServer, record_property: Callable[..., None]
    ) -> None:
        state = "/admin/resilience/board/state.json"
        took = slowest(lambda: frozen.get(state, Authorization=OPERATOR))
        record_property("slowest", took)
        assert took < 0.5 + ROOM, took

    def test_metrics_and_readiness_answer(self, frozen: SiteServer) -> None:
        assert frozen.get("/metrics").status == 401
        text = frozen.get("/metrics", Authorization=OPERATOR).body
        assert 'resilience_calls_total{breaker="database"' in text
        assert frozen.get("/api/health/ready").status == 200

    def test_the_health_command_ends_and_says_what_is_wrong(self, frozen: SiteServer) -> None:
        began = time.monotonic()
        ran = frozen.manage("health", "--json")
        took = time.monotonic() - began
        found = json.loads(ran.stdout)
        assert took < 5 + 5 * ROOM
        assert (ran.returncode, found["server"]) == (1, True)
        assert not found["pings"]["database"]["ok"]
        assert not found["pings"]["cache"]["ok"]

    def test_the_health_command_ends_though_names_are_not_resolved(self, frozen: SiteServer) -> None:
        """No name server answers at this address, and it is not the server's database."""
        began = time.monotonic()
        url = "postgres://x:y@database.invalid:5432/z"
        ran = frozen.manage("health", "--json", DATABASE_URL=url, RES_OPTIONS="timeout:30 attempts:5")
        assert time.monotonic() - began < 5 + 5 * ROOM
        assert ran.returncode in (1, 2)
        assert "no server guards the database of these settings" in ran.stdout

    def test_the_history_is_told(self, frozen: SiteServer) -> None:
        began = time.monotonic()
        ran = frozen.manage("breakers", "history", "--for", "1h", "--json")
        assert time.monotonic() - began < 5 + 5 * ROOM
        assert json.loads(ran.stdout)["from"] == "journal"

    def test_orders_are_seen_by_all_workers_when_the_command_returns(self, frozen: SiteServer) -> None:
        ran = frozen.manage("breakers", "isolate", "external_api", "--reason", "a drill", "--for", "10m")
        assert ran.returncode == 0, ran.stderr
        assert shown(frozen) == {"OPEN"}
        assert frozen.post(RESET, Authorization=OPERATOR).status == 200
        assert shown(frozen) == {"CLOSED"}

    def test_nobody_else_may_reset(self, frozen: SiteServer) -> None:
        assert frozen.post(RESET).status == 401
        assert frozen.post(RESET, Authorization="Bearer wrong").status == 401
