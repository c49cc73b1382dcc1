"""A cache that answers reads and takes no writes: said, and left to itself; reads go on.

The kind: a former primary that is a replica now (READONLY), a replica whose primary is away, a full memory
(OOM), a snapshot that fails (MISCONF), too few replicas (NOREPLICAS), a user who may only read (NOPERM), a
disk that is full or read-only below a cache in files. Tried on real servers, but for the last two.
"""

import errno
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.core.cache import caches

from resilience import registry
from resilience.cache import ResilientCache, probe
from resilience.cache.failures import refuses_writes
from resilience.observe import health
from resilience.primitives import ManualClock, State
from resilience.testing import server_role
from tests.faultproxy import FaultProxy
from tests.resilience.cache.making import on_redis
from tests.resilience.cache.test_misconfigured import at
from tests.servers import RedisServer


@pytest.fixture(autouse=True)
def clock() -> Iterator[ManualClock]:
    clock = ManualClock()
    with server_role(clock=clock):
        yield clock


def states() -> tuple[State, State]:
    return registry.breaker("cache").shown(), registry.breaker("cache:writes").shown()


def demote(server: RedisServer, new: RedisServer) -> None:
    """Make a primary a replica, as an operator or Sentinel does when another was promoted."""
    with redis.Redis.from_url(server.url) as admin:
        admin.replicaof("127.0.0.1", str(new.port))


def promote(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as admin:
        admin.replicaof("no", "one")


class TestReadOnly:
    def test_is_said_while_reads_go_on(self, settings: Any) -> None:
        with RedisServer() as server, RedisServer() as other:
            cache = on_redis(server)
            cache.set("k", 1)
            demote(server, other)
            _until_read_only(server)
            for number in range(10):
                cache.set("n", number)
                cache.delete("n")
                cache.get("k")

            assert states() == (State.CLOSED, State.OPEN)
            report = health.report()
            assert report["status"] == "degraded"
            assert report["services"]["cache"]["status"] == "degraded"
            assert report["services"]["cache"]["state"] == "CLOSED"
            assert any("stores nothing" in notice for notice in report["notices"])
            assert "ReadOnlyError" in str(registry.breaker("cache:writes").snapshot().last_error)

    def test_sends_no_more_writes_but_deletions(self) -> None:
        with RedisServer() as server, RedisServer() as other:
            cache = on_redis(server)
            demote(server, other)
            _until_read_only(server)
            for number in range(10):
                cache.set("n", number)
            with redis.Redis.from_url(server.url) as admin:
                before = admin.info("commandstats")
                for number in range(10):
                    cache.set("n", number)
                    cache.add("n", number)
                    cache.set_many({"n": number})
                    cache.incr("n")
                after = admin.info("commandstats")
            assert after.get("cmdstat_set") == before.get("cmdstat_set")

            assert cache.delete("n") is False

    def test_leaves_the_connection_and_all_idle_ones_for_the_new_primary(self) -> None:
        """Behind a balancer: new connections lead to the promoted server, kept ones to the old for ever."""
        with RedisServer() as old, RedisServer() as new, FaultProxy(old.port) as balancer:
            demote(new, old)
            cache = at(f"redis://127.0.0.1:{balancer.port}/0")
            pool = cache.inner.client.get_client().connection_pool  # type: ignore[attr-defined]
            kept = [pool.get_connection() for _ in range(5)]
            for connection in kept:
                pool.release(connection)
            promote(new)
            demote(old, new)
            _until_read_only(old)
            balancer.target = new.port

            cache.set("k", 1)
            cache.set("k", 2)
            assert cache.get("k") == 2
            with redis.Redis.from_url(new.url) as admin:
                assert admin.get(cache.make_key("k")) == b"2"
            assert states() == (State.CLOSED, State.CLOSED)
            promote(old)  # a primary would wait at its end for its replica

    def test_ends_by_the_steward_s_write(self, clock: ManualClock) -> None:
        with RedisServer() as server, RedisServer() as other:
            cache = on_redis(server)
            demote(server, other)
            _until_read_only(server)
            for number in range(10):
                cache.set("n", number)
            assert states() == (State.CLOSED, State.OPEN)
            promote(server)
            clock.advance(11.0)

            cache.set("n", 1)
            assert states() == (State.CLOSED, State.CLOSED)
            assert health.report()["status"] == "healthy"


class TestOthers:
    def test_a_replica_without_its_primary_is_left_too(self) -> None:
        with RedisServer("--replica-serve-stale-data", "no") as server:
            cache = on_redis(server)
            cache.set("k", 1)
            with redis.Redis.from_url(server.url) as admin:
                admin.replicaof("127.0.0.1", "1")
            for _ in range(5):
                assert cache.get("k", "default") == "default"

            assert states()[0] is State.OPEN
            (kept,) = cache.inner.client.get_client().connection_pool._available_connections  # type: ignore[attr-defined]
            assert not kept.is_connected

    def test_a_user_who_may_only_read(self, redis_server: RedisServer) -> None:
        with redis.Redis.from_url(redis_server.url) as admin:
            admin.acl_setuser(
                "reader", enabled=True, passwords=["+p"], keys=["*"], commands=["+@read", "+select"]
            )
        cache = at(redis_server.url.replace("//", "//reader:p@"))
        for _ in range(5):
            cache.set("k", 1)
            cache.get("k")

        assert states() == (State.CLOSED, State.OPEN)

    def test_a_full_memory(self) -> None:
        with RedisServer("--maxmemory", "1", "--maxmemory-policy", "noeviction") as server:
            cache = on_redis(server)
            for _ in range(5):
                cache.set("k", 1)
                cache.get("k")

            assert states() == (State.CLOSED, State.OPEN)

    def test_no_value_that_could_not_be_stored_stands_in_the_log(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """redis-py begins what fails in a pipeline with the whole command."""
        with RedisServer("--maxmemory", "1", "--maxmemory-policy", "noeviction") as server:
            cache = on_redis(server)
            for _ in range(5):
                cache.set_many({"k": "a private value"})

        assert states()[1] is State.OPEN
        assert "used memory" in caplog.text
        assert "private" not in caplog.text

    def test_a_dead_server_is_the_cache_s_own_breaker_s_affair(self) -> None:
        with RedisServer() as server:
            cache = on_redis(server)
            server.kill()
            for _ in range(10):
                cache.set("k", 1)

            assert states() == (State.OPEN, State.CLOSED)

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
    def test_a_disk_that_takes_nothing(self, number: int) -> None:
        assert refuses_writes(OSError(number, "it takes nothing"))
        assert not refuses_writes(OSError(errno.ENOENT, "nothing there"))


class TestProbe:
    def test_writes(self) -> None:
        probe.write()

        assert isinstance(caches["default"], ResilientCache)
        assert caches["default"].inner.get("resilience-ping") == b"1"


def _until_read_only(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as admin:
        assert admin.info("replication")["role"] == "slave"
