"""Redis killed, frozen, restarted: no method of a cache raises, and none lets a request wait for long."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache.backends.base import BaseCache

from resilience import faults, registry
from resilience.cache import ResilientCache
from resilience.defaults import BREAKERS
from resilience.primitives import ManualClock, State, deadline_scope
from resilience.request.scope import RequestScope
from resilience.testing import server_role
from tests.resilience.cache.making import on_redis
from tests.resilience.wire import taking_at_most
from tests.servers import RedisServer

# What each method says of a cache that is away.
AWAY: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "get": (lambda cache: cache.get("k", "default"), "default"),
    "get_many": (lambda cache: cache.get_many(["k", "l"]), {}),
    "has_key": (lambda cache: cache.has_key("k"), False),
    "set": (lambda cache: cache.set("k", 1), None),
    "add": (lambda cache: cache.add("k", 1), False),
    "touch": (lambda cache: cache.touch("k"), False),
    "delete": (lambda cache: cache.delete("k"), False),
    "set_many": (lambda cache: cache.set_many({"k": 1, "l": 2}), ["k", "l"]),
    "delete_many": (lambda cache: cache.delete_many(["k", "l"]), None),
    "clear": (lambda cache: cache.clear(), None),
    "incr": (lambda cache: cache.incr("k", 3), 3),
    "decr": (lambda cache: cache.decr("k", 3), -3),
    "incr_version": (lambda cache: cache.incr_version("k"), 2),
    "decr_version": (lambda cache: cache.decr_version("k", version=2), 1),
    "get_or_set": (lambda cache: cache.get_or_set("k", lambda: "computed"), "computed"),
    "close": (lambda cache: cache.close(), None),
}
# Methods that take more than one call of the server, each of which may wait once outside a request.
SEVERAL_CALLS = {"get_or_set": 3}


class Asynchronous:
    """The same cache by its coroutines."""

    def __init__(self, cache: ResilientCache) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: asyncio.run(getattr(self._cache, f"a{name}")(*args, **kwargs))


@pytest.fixture(scope="module")
def dead() -> Iterator[ResilientCache]:
    """A cache whose server was killed."""
    with RedisServer() as server:
        cache = on_redis(server)
        cache.set("k", "stored")
        server.kill()
        yield cache


@pytest.fixture(scope="module")
def frozen() -> Iterator[ResilientCache]:
    """A cache whose server is stopped: it takes connections and says nothing."""
    with RedisServer() as server:
        cache = on_redis(server)
        cache.set("k", "stored")
        server.freeze()
        yield cache
        server.thaw()


@pytest.fixture(params=["called", "awaited"])
def form(request: pytest.FixtureRequest) -> Callable[[ResilientCache], Any]:
    return Asynchronous if request.param == "awaited" else lambda cache: cache


class TestEveryMethod:
    def test_is_in_the_table(self) -> None:
        made_of_keys = {"make_key", "make_and_validate_key", "validate_key", "get_backend_timeout"}
        public = {name for name in dir(BaseCache) if not name.startswith("_")} - made_of_keys
        methods = {name for name in public if callable(getattr(BaseCache, name))}

        assert methods == AWAY.keys() | {f"a{name}" for name in AWAY}

    @pytest.mark.parametrize("method", AWAY)
    def test_is_quiet_when_the_server_was_killed(
        self, dead: ResilientCache, form: Callable[[ResilientCache], Any], method: str
    ) -> None:
        call, answer = AWAY[method]

        assert call(form(dead)) == answer

    @pytest.mark.parametrize("method", AWAY)
    def test_is_quiet_and_soon_back_when_the_server_is_frozen(
        self, frozen: ResilientCache, form: Callable[[ResilientCache], Any], method: str
    ) -> None:
        call, answer = AWAY[method]

        with taking_at_most(0.25 * SEVERAL_CALLS.get(method, 1) + 0.25):
            assert call(form(frozen)) == answer

    def test_of_wrong_use_raises_though_the_server_is_away(self, dead: ResilientCache) -> None:
        with pytest.raises(TypeError, match="object"):
            dead.set("k", object())


class TestRequest:
    def test_waits_for_a_frozen_server_once(self, frozen: ResilientCache) -> None:
        with RequestScope(), taking_at_most(0.5):
            for call, answer in AWAY.values():
                assert call(frozen) == answer

    def test_asks_a_dead_server_each_time_for_that_costs_nothing(self, dead: ResilientCache) -> None:
        with RequestScope(), taking_at_most(0.5):
            for call, answer in AWAY.values():
                assert call(dead) == answer

    def test_whose_time_is_up_asks_no_more(self, redis_server: RedisServer) -> None:
        cache = on_redis(redis_server)
        cache.set("k", 1)
        with deadline_scope(0.0):
            assert cache.get("k", "default") == "default"
        assert cache.get("k", "default") == 1

    def test_that_has_less_time_waits_less(self, frozen: ResilientCache) -> None:
        with deadline_scope(0.05), taking_at_most(0.2):
            assert frozen.get("k", "default") == "default"


class TestAfterwards:
    def test_a_restarted_server_is_used_at_once(self) -> None:
        with RedisServer() as server:
            cache = on_redis(server)
            cache.set("k", 1)
            server.kill()
            assert cache.get("k", "default") == "default"
            server.restart()

            cache.set("k", 2)
            assert cache.get("k", "default") == 2


class TestBreaker:
    """In a server process: the breaker `cache` hears of every call before anything is swallowed."""

    @pytest.fixture(autouse=True)
    def clock(self) -> Iterator[ManualClock]:
        clock = ManualClock()
        with server_role(clock=clock):
            yield clock

    @property
    def state(self) -> State:
        return registry.breaker("cache").shown()

    def test_opens_after_five_time_outs_and_then_nobody_waits(self, frozen: ResilientCache) -> None:
        for _ in range(5):
            assert self.state is State.CLOSED
            frozen.get("k")

        assert self.state is State.OPEN
        with taking_at_most(0.1):
            for call, answer in AWAY.values():
                assert call(frozen) == answer

    def test_opens_after_five_refusals(self, dead: ResilientCache) -> None:
        for _ in range(5):
            dead.set("k", 1)

        assert self.state is State.OPEN

    def test_stays_closed_when_requests_were_in_a_hurry(self, frozen: ResilientCache) -> None:
        for _ in range(20):
            with deadline_scope(0.02):
                frozen.get("k")

        assert self.state is State.CLOSED

    def test_stays_closed_when_they_waited_for_most_of_a_call_s_time(
        self, frozen: ResilientCache, settings: Any
    ) -> None:
        slow = BREAKERS["cache"] | {"slow_after": 0.24}  # a call has 0.25 s
        settings.RESILIENCE = settings.RESILIENCE | {"BREAKERS": {"cache": slow}}
        with server_role():
            for _ in range(10):
                with deadline_scope(0.14):
                    frozen.get("k")

            assert (self.state, registry.breaker("cache").snapshot().slow) == (State.CLOSED, 0)

    def test_stays_closed_on_wrong_use(self, redis_server: RedisServer) -> None:
        cache = on_redis(redis_server)
        cache.set("text", "x")
        for _ in range(20):
            with pytest.raises(ValueError, match="not found"):
                cache.incr("missing")
            with pytest.raises(TypeError):
                cache.incr("text")

        assert self.state is State.CLOSED

    def test_opens_on_slow_answers(self, redis_server: RedisServer, settings: Any) -> None:
        quick = BREAKERS["cache"] | {"slow_after": 0.005}
        settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": True, "BREAKERS": {"cache": quick}}
        cache = on_redis(redis_server)
        with server_role():
            faults.start("cache", "latency", lasts=60, seconds=0.01)
            for _ in range(10):
                assert self.state is State.CLOSED
                cache.set("k", 1)

            assert self.state is State.OPEN

    def test_hears_of_a_drill_as_of_the_real_thing(self, redis_server: RedisServer, settings: Any) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": True}
        cache = on_redis(redis_server)
        with server_role():
            faults.start("cache", "error", lasts=60)
            for _ in range(5):
                assert cache.get("k", "default") == "default"

            assert self.state is State.OPEN

    def test_closes_when_the_server_is_back(self, clock: ManualClock) -> None:
        with RedisServer() as server:
            cache = on_redis(server)
            cache.set("k", 1)
            server.freeze()
            for _ in range(5):
                cache.get("k")
            server.thaw()
            assert cache.get("k", "open still") == "open still"
            clock.advance(10.0)

            assert cache.get("k") == 1
        assert self.state is State.CLOSED
