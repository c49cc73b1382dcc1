"""Locks and raw clients of a guarded cache: they cannot be empty, so they say that the cache is away."""

from typing import Any

import pytest
import redis
from django_redis import get_redis_connection

from resilience import registry
from resilience.cache.redis.failures import LockAwayError
from resilience.primitives import RejectedError, State, deadline_scope
from resilience.testing import server_role
from tests.resilience.cache.making import on_redis
from tests.resilience.wire import taking_at_most
from tests.servers import RedisServer


class TestLock:
    def test_is_held_by_one(self, cache: Any) -> None:
        first, second = cache.lock("l", timeout=10), cache.lock("l", timeout=10)

        assert first.acquire(blocking=False)
        assert first.owned()
        assert not second.acquire(blocking=False)
        first.release()
        with second:
            assert second.locked()
        assert registry.breaker("cache").shown() is State.CLOSED
        assert registry.breaker("cache").snapshot().failures == 0

    def test_is_not_acquired_while_the_cache_is_away(self, dead: Any) -> None:
        assert dead.lock("l").acquire(blocking=False) is False
        assert dead.lock("l", blocking=False).acquire() is False
        for acquire in (dead.lock("l").acquire, dead.lock("l").__enter__):
            with pytest.raises(LockAwayError) as caught:
                acquire()
            assert isinstance(caught.value, redis.exceptions.LockError)
            assert isinstance(caught.value, RejectedError)

    def test_of_a_frozen_server_is_given_up_soon(self, frozen: Any) -> None:
        with taking_at_most(0.6):
            assert frozen.lock("l").acquire(blocking=False) is False

    def test_is_not_acquired_while_the_breaker_is_open(self, cache: Any) -> None:
        registry.breaker("cache").isolate(who="test", why="test")

        assert cache.lock("l").acquire(blocking=False) is False
        with pytest.raises(LockAwayError):
            cache.lock("l").acquire()

    def test_is_waited_for_no_longer_than_the_request_has_time(self, cache: Any) -> None:
        cache.lock("l", timeout=10).acquire()

        with deadline_scope(0.3), taking_at_most(0.7), pytest.raises(LockAwayError):
            cache.lock("l").acquire()

    def test_that_was_lost_with_the_server_says_so(self) -> None:
        with RedisServer() as server:
            cache: Any = on_redis(server)
            lock = cache.lock("l", timeout=10)
            lock.acquire()
            server.kill()

            with pytest.raises(LockAwayError):
                lock.release()


class TestRawClient:
    """`get_redis_connection`, which many libraries use."""

    def test_is_guarded_and_refused_by_its_own_class_of_errors(self, cache: Any, settings: Any) -> None:
        settings.CACHES = {"default": _declared(cache)}
        client = get_redis_connection("default")
        client.set("raw", "x")
        with client.pipeline() as pipe:
            pipe.get("raw").incr("n")
            assert pipe.execute() == [b"x", 1]
        registry.breaker("cache").isolate(who="test", why="test")

        with pytest.raises(redis.ConnectionError) as caught:
            client.get("raw")
        assert isinstance(caught.value, RejectedError)
        assert "cache" in str(caught.value)
        assert repr(caught.value)
        with pytest.raises(redis.ConnectionError), client.pipeline() as pipe:
            pipe.get("raw").execute()

    def test_whose_request_has_no_time_left_is_a_time_out(self, cache: Any) -> None:
        client = cache.client.get_client()

        with deadline_scope(0.0), pytest.raises(redis.TimeoutError):
            client.get("raw")
        assert registry.breaker("cache").snapshot().failures == 0

    def test_opens_the_breaker_by_its_failures_alone(self, cache: Any, dead: Any) -> None:
        for _ in range(6):
            with pytest.raises(redis.ResponseError):
                cache.client.get_client().execute_command("NO-SUCH-COMMAND")
        assert registry.breaker("cache").shown() is State.CLOSED
        for _ in range(6):
            with pytest.raises(redis.ConnectionError):
                dead.client.get_client().get("raw")
        assert registry.breaker("cache").shown() is State.OPEN


class TestShadow:
    def test_counts_and_lets_everything_through(self, dead: Any, settings: Any) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"SHADOW": True}
        with server_role():
            for call in (
                lambda: dead.hlen("k"),
                lambda: list(dead.iter_keys("*")),
                lambda: dead.delete_pattern("*"),
                lambda: dead.lock("l").acquire(),
                lambda: dead.client.get_client().get("k"),
            ):
                with pytest.raises(redis.ConnectionError) as caught:
                    call()
                assert not isinstance(caught.value, RejectedError)


def _declared(cache: Any) -> dict[str, Any]:
    return {
        "BACKEND": "resilience.cache.ResilientCache",
        "LOCATION": cache.inner._server,
        "OPTIONS": {"INNER": "django_redis.cache.RedisCache"},
    }
