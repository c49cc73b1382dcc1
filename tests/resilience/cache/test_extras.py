"""What django-redis can do beyond Django's caches is there; away means what an empty cache would say."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import redis
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django_redis.cache import RedisCache

from resilience import registry
from resilience.cache import ResilientCache
from resilience.cache.calls import Calls
from resilience.cache.redis.late import lock_made
from resilience.primitives import RejectedError, State, deadline_scope
from resilience.testing import server_role
from tests.resilience.cache.making import on_redis
from tests.resilience.wire import taking_at_most
from tests.servers import RedisServer

# What each says of an empty cache and of one that is away.
READS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "ttl": (lambda cache: cache.ttl("k"), 0),
    "pttl": (lambda cache: cache.pttl("k"), 0),
    "persist": (lambda cache: cache.persist("k"), False),
    "expire": (lambda cache: cache.expire("k", 10), False),
    "pexpire": (lambda cache: cache.pexpire("k", 10), False),
    "expire_at": (lambda cache: cache.expire_at("k", 4_000_000_000), False),
    "pexpire_at": (lambda cache: cache.pexpire_at("k", 4_000_000_000_000), False),
    "keys": (lambda cache: cache.keys("*"), []),
    "iter_keys": (lambda cache: list(cache.iter_keys("*")), []),
    "delete_pattern": (lambda cache: cache.delete_pattern("*"), 0),
    "scard": (lambda cache: cache.scard("k"), 0),
    "sdiff": (lambda cache: cache.sdiff("k", "l"), set()),
    "sdiffstore": (lambda cache: cache.sdiffstore("m", "k", "l"), 0),
    "sinter": (lambda cache: cache.sinter("k", "l"), set()),
    "sinterstore": (lambda cache: cache.sinterstore("m", "k", "l"), 0),
    "sismember": (lambda cache: cache.sismember("k", 1), False),
    "smembers": (lambda cache: cache.smembers("k"), set()),
    "smismember": (lambda cache: cache.smismember("k", 1, 2), [False, False]),
    "smove": (lambda cache: cache.smove("k", "l", 1), False),
    "spop": (lambda cache: (cache.spop("k"), cache.spop("k", 2)), (None, set())),
    "srandmember": (lambda cache: (cache.srandmember("k"), cache.srandmember("k", 2)), (None, [])),
    "srem": (lambda cache: cache.srem("k", 1), 0),
    "sscan": (lambda cache: cache.sscan("k"), set()),
    "sscan_iter": (lambda cache: list(cache.sscan_iter("k")), []),
    "sunion": (lambda cache: cache.sunion("k", "l"), set()),
    "sunionstore": (lambda cache: cache.sunionstore("m", "k", "l"), 0),
    "hdel": (lambda cache: cache.hdel("k", "f"), 0),
    "hlen": (lambda cache: cache.hlen("k"), 0),
    "hkeys": (lambda cache: cache.hkeys("k"), []),
    "hexists": (lambda cache: cache.hexists("k", "f"), False),
    "zcard": (lambda cache: cache.zcard("k"), 0),
    "zcount": (lambda cache: cache.zcount("k", 0, 9), 0),
    "zpopmax": (lambda cache: (cache.zpopmax("k"), cache.zpopmax("k", 2)), (None, [])),
    "zpopmin": (lambda cache: (cache.zpopmin("k"), cache.zpopmin("k", 2)), (None, [])),
    "zrange": (lambda cache: cache.zrange("k", 0, -1), []),
    "zrangebyscore": (lambda cache: cache.zrangebyscore("k", 0, 9), []),
    "zrank": (lambda cache: cache.zrank("k", "m"), None),
    "zrem": (lambda cache: cache.zrem("k", "m"), 0),
    "zremrangebyscore": (lambda cache: cache.zremrangebyscore("k", 0, 9), 0),
    "zrevrange": (lambda cache: cache.zrevrange("k", 0, -1), []),
    "zrevrangebyscore": (lambda cache: cache.zrevrangebyscore("k", 9, 0), []),
    "zscore": (lambda cache: cache.zscore("k", "m"), None),
}
# What each says of a cache that is away: nothing was stored, and `zincrby` counts from 0 as `incr` does.
WRITES: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "set nx": (lambda cache: cache.set("k", 1, nx=True), False),
    "sadd": (lambda cache: cache.sadd("k", 1), 0),
    "hset": (lambda cache: cache.hset("k", "f", 1), 0),
    "zadd": (lambda cache: cache.zadd("k", {"m": 1.0}), 0),
    "zincrby": (lambda cache: cache.zincrby("k", 2.5, "m"), 2.5),
}
AWAY = READS | WRITES


class TestEveryMethod:
    def test_of_django_redis_is_in_the_table(self) -> None:
        own = {name for name in vars(RedisCache) if not name.startswith("_")} - {"client"}
        djangos = {name for name in dir(BaseCache) if not name.startswith("_")}

        assert own - djangos - {"lock"} == AWAY.keys() - {"set nx"}

    @pytest.mark.parametrize("method", READS)
    def test_says_of_a_cache_that_is_away_what_an_empty_one_says(
        self, cache: Any, dead: Any, method: str
    ) -> None:
        call, answer = READS[method]

        assert call(cache) == answer
        assert call(dead) == answer

    @pytest.mark.parametrize("method", WRITES)
    def test_that_stores_says_that_nothing_was_stored(self, dead: Any, method: str) -> None:
        call, answer = WRITES[method]

        assert call(dead) == answer

    def test_asks_a_frozen_server_once_in_a_request(self, frozen: Any) -> None:
        from resilience.request.scope import RequestScope

        with RequestScope(), taking_at_most(0.6):
            for method, (call, answer) in AWAY.items():
                assert call(frozen) == answer, method

    def test_is_refused_by_an_open_breaker(self, cache: Any) -> None:
        cache.set("k", 1)
        registry.breaker("cache").isolate(who="test", why="test")

        for method, (call, answer) in AWAY.items():
            assert call(cache) == answer, method
        with pytest.raises(RejectedError):
            cache.client.get_client().get(":1:k")
        registry.breaker("cache").auto(who="test", why="test")
        assert cache.get("k") == 1

    def test_has_a_form_for_coroutines(self, cache: Any, dead: Any) -> None:
        cache.set("k", 1, 100)

        assert 0 < asyncio.run(cache.attl("k")) <= 100
        assert asyncio.run(dead.attl("k")) == 0

    def test_counts_as_a_call_of_the_cache(self, dead: Any) -> None:
        with server_role():
            for _ in range(5):
                dead.hlen("k")

            assert registry.breaker("cache").shown() is State.OPEN

    def test_that_does_not_exist_is_an_attribute_error(self, cache: Any) -> None:
        assert not hasattr(cache, "no_such_method")
        with pytest.raises(AttributeError, match="no_such_method"):
            cache.no_such_method()


class TestValues:
    def test_of_sets_and_hashes_come_back_as_they_went_in(self, cache: Any) -> None:
        cache.sadd("s", ("a", 1), "b", 2)
        cache.hset("h", "f", {"a": None})
        cache.zadd("z", {"m": 1.5})

        assert cache.smembers("s") == {("a", 1), "b", 2}
        assert cache.sismember("s", ("a", 1))
        assert cache.zrange("z", 0, -1, withscores=True) == [("m", 1.5)]

    def test_that_are_not_ours_are_left_out_and_counted(self, cache: Any) -> None:
        cache.sadd("s", "ours")
        cache.client.get_client().sadd(cache.make_key("s"), b"\x80\x05cos\nabort\n(tR.")

        assert cache.smembers("s") == {"ours"}
        assert registry.store().counters.totals()["calls", "cache", "decode", "failure"] == 1

    def test_that_are_not_ours_are_left_out_with_their_scores(self, cache: Any) -> None:
        cache.zadd("z", {"ours": 2.0})
        cache.client.get_client().zadd(cache.make_key("z"), {b"\x80\x05cos\nabort\n(tR.": 1.0})

        assert cache.zrange("z", 0, -1, withscores=True) == [("ours", 2.0)]
        assert cache.zpopmin("z") is None

    def test_that_cannot_be_stored_are_the_callers_mistake(self, cache: Any) -> None:
        for _ in range(6):
            with pytest.raises(TypeError, match="object"):
                cache.sadd("s", object())
            cache.set("text", "x")
            with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
                cache.hset("text", "f", 1)
        assert registry.breaker("cache").shown() is State.CLOSED


class TestKeys:
    def test_are_listed_by_pattern_whatever_the_prefix(self, redis_server: RedisServer) -> None:
        options = {"INNER": "django_redis.cache.RedisCache"}
        cache: Any = ResilientCache(redis_server.url, {"OPTIONS": options, "KEY_PREFIX": "*[x]"})
        other: Any = on_redis(redis_server)
        cache.set_many({"a1": 1, "a2": 2, "b": 3})
        other.set("a3", 4)

        assert sorted(cache.keys("a*")) == ["a1", "a2"]
        assert sorted(cache.iter_keys("a*")) == ["a1", "a2"]
        assert cache.delete_pattern("a*") == 2
        assert cache.get("b") == 3
        assert other.get("a3") == 4

    def test_follow_a_change_of_the_caches_own_attributes(self, cache: Any) -> None:
        cache.set("k", 1)
        cache.version = 2
        cache.set("k", 2)
        cache.key_prefix = "p"

        assert cache.get("k") is None
        cache.key_prefix = ""
        assert (cache.get("k"), cache.get("k", version=1)) == (2, 1)

    def test_keep_their_time_when_they_change_the_version(self, cache: Any) -> None:
        cache.set("k", 1, None)
        cache.set("l", 1, 50)
        cache.incr_version("k")
        cache.incr_version("l")

        assert cache.ttl("k", version=2) is None
        assert 40 < cache.ttl("l", version=2) <= 50


class TestIteration:
    def test_ends_with_the_deadline(self, cache: Any) -> None:
        cache.set_many({f"k{n}": n for n in range(200)})

        with deadline_scope(60.0):
            found = cache.iter_keys("*", itersize=1)
            next(found)
        with deadline_scope(0.0):
            assert len(list(found)) < 199

    def test_of_many_steps_may_take_longer_than_one_answer(self, cache: Any) -> None:
        cache.set_many({f"k{n}": n for n in range(40)})
        seen = []

        for key in cache.iter_keys("k*", itersize=1):
            seen.append(key)
            time.sleep(0.015)
        assert len(set(seen)) == 40

    def test_by_coroutines_is_asynchronous(self, cache: Any) -> None:
        cache.set_many({"k1": 1, "k2": 2})
        cache.sadd("s", 1, 2)

        assert sorted(asyncio.run(_listed(cache.aiter_keys("k*")))) == ["k1", "k2"]
        assert sorted(asyncio.run(_listed(cache.asscan_iter("s")))) == [1, 2]

    def test_has_no_lock_for_coroutines_since_it_would_block(self, cache: Any) -> None:
        with pytest.raises(AttributeError, match="sync_to_async"):
            cache.alock("k")

    def test_of_a_lock_that_is_away_reaches_its_server_later(self, cache: Any) -> None:
        makers: list[Any] = [_unreachable, _unreachable, lambda: cache.inner.lock("k", timeout=5)]
        lock: Any = lock_made(Calls("cache"), lambda: makers.pop(0)(), "k", blocking=True)

        assert lock.acquire(blocking=False) is False
        with lock:
            assert lock.owned()
            assert not cache.lock("k").acquire(blocking=False)
        assert not lock.locked()

    def test_that_loses_its_server_ends(self) -> None:
        with RedisServer() as server:
            cache: Any = on_redis(server)
            cache.set_many({f"k{n}": n for n in range(100)})
            found = cache.iter_keys("*", itersize=1)
            next(found)
            server.kill()

            assert len(list(found)) < 99


def _unreachable() -> Any:
    raise redis.ConnectionError("no node answers")


class Unusual(LocMemCache):
    """A backend that nobody here knows."""

    broken = False
    size = 7
    closed = False
    loop_thread = 0

    def double(self, key: Any) -> int:
        if self.broken:
            raise ConnectionError("gone")
        return 2 * int(self.get(key, 0))

    def threads(self) -> Iterator[bool]:
        for _ in range(2):
            yield threading.get_ident() == self.loop_thread

    def lock(self, key: Any) -> str:
        return str(self.double(key))

    def numbers(self, most: int) -> Iterator[int]:
        for number in range(most):
            if self.broken:
                raise ConnectionError("gone")
            yield number

    async def adouble(self, key: Any) -> int:
        return self.double(key)

    async def aforever(self) -> None:
        await asyncio.Event().wait()

    async def aendless(self) -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            self.closed = True

    async def anumbers(self, most: int) -> AsyncIterator[int]:
        for number in self.numbers(most):
            yield number


class Unmakeable(Unusual):
    def __init__(self, *args: Any) -> None:
        raise OSError("no such folder")


class TestOtherBackends:
    @pytest.fixture
    def cache(self) -> Iterator[Any]:
        made: Any = ResilientCache("unusual", {"OPTIONS": {"INNER": f"{__name__}.Unusual"}})
        with server_role():
            yield made

    def test_have_what_is_theirs(self, cache: Any) -> None:
        cache.set("n", 21)

        assert (cache.double("n"), cache.size, list(cache.numbers(3))) == (42, 7, [0, 1, 2])
        assert asyncio.run(cache.adouble("n")) == 42
        assert asyncio.run(_listed(cache.anumbers(3))) == [0, 1, 2]

    def test_are_guarded(self, cache: Any) -> None:
        cache.inner.broken = True

        assert cache.double("n") is None
        assert list(cache.numbers(3)) == []
        assert asyncio.run(cache.adouble("n")) is None
        assert asyncio.run(_listed(cache.anumbers(3))) == []

        assert registry.breaker("cache").snapshot().failures == 4
        registry.breaker("cache").isolate(who="test", why="test")
        with pytest.raises(RejectedError):
            cache.lock("n")

    def test_cannot_keep_a_coroutine_waiting(self, cache: Any) -> None:
        with taking_at_most(2.5):
            assert asyncio.run(asyncio.wait_for(cache.aforever(), 2)) is None
            assert asyncio.run(asyncio.wait_for(_listed(cache.aendless()), 2)) == [1]
        assert registry.breaker("cache").snapshot().failures == 2
        assert cache.inner.closed

    def test_cannot_keep_a_coroutine_longer_than_its_request_lasts(self, cache: Any) -> None:
        with taking_at_most(0.3), deadline_scope(0.1):
            assert asyncio.run(asyncio.wait_for(cache.aforever(), 2)) is None

    def test_that_cannot_be_made_are_away_for_an_iteration_too(self) -> None:
        unmade: Any = ResilientCache("unusual", {"OPTIONS": {"INNER": f"{__name__}.Unmakeable"}})

        with server_role():
            assert asyncio.run(_listed(unmade.anumbers(3))) == []

    def test_iterate_for_coroutines_outside_of_their_loop(self, cache: Any) -> None:
        async def listed() -> list[Any]:
            cache.inner.loop_thread = threading.get_ident()
            return await _listed(cache.athreads())

        assert asyncio.run(listed()) == [False, False]

    def test_on_djangos_own_redis_hold_the_same_and_unpickle_nothing(self, redis_server: RedisServer) -> None:
        inner = "django.core.cache.backends.redis.RedisCache"
        cache: Any = ResilientCache(redis_server.url, {"OPTIONS": {"INNER": inner}})
        cache.set("k", {"a": (1, b"\x00")})
        cache.set("n", 2)
        with redis.Redis.from_url(redis_server.url) as other:
            other.set(cache.make_key("bad"), b"cos\nabort\n(tR.")

        assert cache.get("k") == on_redis(redis_server).get("k") == {"a": (1, b"\x00")}
        assert cache.incr("n") == 3
        assert cache.get_many(["k", "n", "bad"]) == {"k": {"a": (1, b"\x00")}, "n": 3}
        assert cache.get("bad", "alive") == "alive"


async def _listed(source: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in source]
