"""A cache on a cluster: keys of all slots, and a node's death is an outage of its own slots alone."""

from collections.abc import Iterator
from typing import Any

import pytest
from redis.cluster import RedisCluster
from redis.exceptions import LockError, RedisClusterException, RedisError

from resilience import registry
from resilience.cache import ResilientCache
from resilience.cache.redis.factories import ClusterConnections
from resilience.cache.redis.failures import LockAwayError
from resilience.primitives import RejectedError, State
from resilience.testing import server_role
from tests.resilience.wire import taking_at_most
from tests.servers.redis import ClusterNode, assembled


def on(nodes: list[ClusterNode], **options: Any) -> Any:
    return ResilientCache(
        [node.url for node in nodes],
        {
            "OPTIONS": {
                "INNER": "django_redis.cache.RedisCache",
                "REDIS_CLIENT_CLASS": "redis.cluster.RedisCluster",
                **options,
            }
        },
    )


@pytest.fixture(autouse=True)
def _server(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    # So that a busy machine is no outage.
    settings.RESILIENCE = settings.RESILIENCE | {"DEADLINES": {"cache": 1.5}}
    monkeypatch.setattr("resilience.cache.redis.factories.ClusterConnections._clusters", {})
    with server_role():
        yield


KEYS = [f"k{n}" for n in range(60)]


class TestCluster:
    def test_serves_keys_of_all_slots_and_loses_those_of_a_dead_node_alone(self) -> None:
        with assembled() as nodes:
            cache = on(nodes)
            _does_all(cache)
            cache.set_many(dict.fromkeys(KEYS, "v"))
            # The node that would hold the key of a usual ping.
            port = cache.client.get_client().get_node_from_key(":1:resilience-ping").port
            dead = next(node for node in nodes if node.port == port)
            dead.kill()

            with taking_at_most(5):
                left = cache.get_many(KEYS)
                found = [key for key in KEYS if cache.get(key)]
            assert left == {}  # one command of many keys has one outcome
            assert 20 < len(found) < 60
            assert cache.set(found[0], "new", xx=True) is True
            assert cache.get(found[0]) == "new"
            lost = next(key for key in KEYS if key not in found)
            assert cache.set(lost, 1, nx=True) is False
            assert cache.lock(lost).acquire(blocking=False) is False
            assert registry.breaker("cache").shown() is State.CLOSED
            assert registry.breaker("cache").snapshot().failures > 3

            registry.breaker("cache").isolate(who="test", why="test")
            with pytest.raises(RejectedError):
                cache.client.get_client().pipeline(transaction=True).watch(f":1:{found[0]}")
            registry.breaker("cache").auto(who="test", why="test")

            cache.ping()  # the cluster works, for most keys
            for node in nodes:
                node.kill()
            with pytest.raises((RedisError, RedisClusterException)):
                cache.ping()

    def test_that_is_away_as_a_whole_opens_the_breaker(self) -> None:
        cache = on([ClusterNode()])
        for _ in range(5):
            with taking_at_most(0.4):
                assert cache.get("k", "away") == "away"
        assert registry.breaker("cache").shown() is State.OPEN
        _is_a_lock_that_is_away(cache)

    def test_that_was_never_reached_has_locks_that_are_away(self) -> None:
        _is_a_lock_that_is_away(on([ClusterNode()]))

    def test_is_another_one_for_each_class_and_options_of_the_client(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ClusterConnections, "_cluster", lambda self: object())
        node = ClusterNode()
        clients = [
            on([node], **options).client.get_client()
            for options in (
                {},
                {"REDIS_CLIENT_CLASS": f"{__name__}.OwnCluster"},
                {"REDIS_CLIENT_KWARGS": {"read_from_replicas": True}},
                {},
            )
        ]

        assert clients[0] is clients[3]
        assert len(set(clients)) == 3


class OwnCluster(RedisCluster):
    """A project's own client."""


def _is_a_lock_that_is_away(cache: Any) -> None:
    assert cache.lock("k").acquire(blocking=False) is False
    assert cache.lock("k", blocking=False).acquire() is False
    with pytest.raises(LockError):
        cache.lock("k").acquire()
    with pytest.raises(LockAwayError), cache.lock("k"):
        pass
    with pytest.raises(LockAwayError):
        cache.lock("k").release()


def _does_all(cache: Any) -> None:
    cache.set_many({"a": 1, "b": [2], "c": "x"})
    assert cache.get_many(["a", "b", "c", "d"]) == {"a": 1, "b": [2], "c": "x"}
    assert cache.incr("a") == 2
    assert sorted(cache.keys("*")) == sorted(cache.iter_keys("*")) == ["a", "b", "c"]
    assert cache.ttl("a") == 300
    assert cache.delete_many(["a", "b"]) == 2
    assert cache.delete_pattern("*") == 1
    lock = cache.lock("l", timeout=5)
    assert lock.acquire(blocking=False)
    assert not cache.lock("l").acquire(blocking=False)
    lock.release()
    cache.sadd("s", 1)
    assert cache.smembers("s") == {1}
    pipe = cache.client.get_client().pipeline()
    pipe.set("x", 1)
    pipe.set("y", 2)
    assert pipe.execute() == [True, True]
    cache.clear()
    assert cache.keys("*") == []
