"""A cache behind Sentinel follows a failover by itself; while nobody is primary it is away, not for long."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from resilience import registry
from resilience.cache import ResilientCache
from resilience.cache.proving import wrong_with
from resilience.primitives import State
from resilience.testing import server_role
from tests.resilience.wire import taking_at_most
from tests.servers import RedisServer
from tests.servers.redis import SentinelServer

# A replica need not wait for others.
SYNC = ("--repl-diskless-sync-delay", "0")


def behind(*sentinels: int, **options: Any) -> dict[str, Any]:
    return {
        "BACKEND": "resilience.cache.ResilientCache",
        "LOCATION": f"redis://{SentinelServer.NAME}/0",
        "OPTIONS": {
            "INNER": "django_redis.cache.RedisCache",
            "CLIENT_CLASS": "django_redis.client.SentinelClient",
            "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
            "SENTINELS": [("127.0.0.1", port) for port in sentinels],
            **options,
        },
    }


def made(declared: dict[str, Any]) -> Any:
    return ResilientCache(declared["LOCATION"], {"OPTIONS": declared["OPTIONS"]})


def wait(until: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not come to it"
        time.sleep(0.05)


class TestSentinel:
    def test_fails_over_under_the_guarded_cache(self) -> None:
        with (
            RedisServer(*SYNC) as primary,
            RedisServer("--replicaof", "127.0.0.1", str(primary.port)) as replica,
            SentinelServer(primary) as sentinel,
            redis.Redis(port=sentinel.port) as asked,
            server_role(),
        ):
            wait(lambda: asked.sentinel_master(SentinelServer.NAME)["num-slaves"] == 1)
            # The first one is nobody, so that the second has to be asked.
            cache = made(behind(1, sentinel.port))
            cache.set("k", "before")
            wait(lambda: bool(cache.get("k") == "before"))  # from the replica, which is a little behind
            primary.freeze()

            with taking_at_most(0.8):
                assert cache.get("k", "away") in ("before", "away")
            # A breaker that opened is probed by the steward, which is not here.
            wait(lambda: _stores(cache))
            wait(lambda: bool(cache.get("k") == "after"))
            assert cache.lock("l", timeout=5).acquire(blocking=False)
            with redis.Redis.from_url(replica.url) as new:
                assert new.info("replication")["role"] == "master"
            primary.thaw()

    def test_without_any_sentinel_is_away_at_once(self) -> None:
        cache = made(behind(1, 2))
        with server_role():
            for _ in range(5):
                with taking_at_most(0.4):
                    assert cache.get("k", "away") == "away"
            assert registry.breaker("cache").shown() is State.OPEN

    def test_passes_the_check_and_a_wrong_option_of_its_address_does_not(self, settings: Any) -> None:
        settings.CACHES = {"default": behind(1), "wrong": behind(1) | {"LOCATION": "redis://Primary/0?no=1"}}

        assert wrong_with("default") is None
        assert "'no'" in str(wrong_with("wrong"))


def _stores(cache: Any) -> bool:
    registry.breaker("cache").reset()
    registry.breaker("cache:writes").reset()
    return cache.set("k", "after", xx=True) is True or cache.set("k", "after", nx=True) is True


@pytest.fixture(autouse=True)
def _no_pools_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resilience.cache.redis.factories.Connections._pools", {})
