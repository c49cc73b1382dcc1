"""What a request holds, from its begin to its end."""

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest
from asgiref.sync import sync_to_async
from django.test import RequestFactory

from resilience import registry
from resilience.primitives import BreakerOpenError, BulkheadFullError, current_deadline
from resilience.request.scope import RequestScope, current_scope, give_up_cache, has_given_up_cache
from resilience.testing import full_pool, server_role


@pytest.fixture(autouse=True)
def server() -> Iterator[None]:
    with server_role():
        yield


class TestScope:
    def test_has_one_clock_and_one_place_until_it_ends(self) -> None:
        pool = registry.bulkhead("other")
        with RequestScope() as scope:
            assert (current_scope(), current_deadline()) == (scope, None)
            scope.start_clock(RequestFactory().get("/"))
            assert current_deadline() is not None
            scope.enter_pool("other")
            scope.enter_pool("other")
            assert pool.in_use == 1
        assert (pool.in_use, current_scope(), current_deadline()) == (0, None, None)

    def test_gives_everything_back_after_an_error(self) -> None:
        pool = registry.bulkhead("other")

        def fail() -> None:
            with RequestScope() as scope:
                scope.start_clock(RequestFactory().get("/"))
                scope.enter_pool("other")
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert (pool.in_use, current_scope(), current_deadline()) == (0, None, None)

    def test_that_found_no_place_gives_none_back(self) -> None:
        pool = registry.bulkhead("external")
        with full_pool("external"), RequestScope() as scope:
            with pytest.raises(BulkheadFullError):
                scope.enter_pool("external")
            assert (pool.in_use, pool.waiting) == (2, 1)
        assert (pool.in_use, pool.waiting) == (0, 0)

    def test_is_refused_by_the_breaker_if_others_took_its_place_in_the_queue(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It waited, the breaker opened, and before it could count as waiting again somebody else did."""
        pool = registry.bulkhead("external")
        usual = pool.queued
        with ExitStack() as others, RequestScope() as scope:

            def overtaken() -> AbstractContextManager[float]:
                others.enter_context(usual())
                return usual()

            for _ in range(pool.config.running):
                others.enter_context(pool.enter())
            monkeypatch.setattr(pool, "queued", overtaken)
            registry.breaker("database").isolate(who="test", why="the database is down")
            with pytest.raises(BreakerOpenError):
                scope.enter_pool("external")
        assert (pool.in_use, pool.waiting) == (0, 0)

    def test_bounds_nothing_in_a_command(self) -> None:
        registry.use(registry.Registry())
        with RequestScope() as scope:
            scope.start_clock(RequestFactory().get("/"))
            assert current_deadline() is None


class TestACacheThatTimedOut:
    def test_remembers_until_the_request_ends(self) -> None:
        with RequestScope():
            assert not has_given_up_cache()
            give_up_cache()
            assert has_given_up_cache()
        with RequestScope():
            assert not has_given_up_cache()

    def test_outside_a_request_nothing_is_given_up(self) -> None:
        give_up_cache()

        assert not has_given_up_cache()

    def test_hears_of_what_a_thread_of_the_request_met(self) -> None:
        with RequestScope():
            thread = threading.Thread(target=contextvars.copy_context().run, args=(give_up_cache,))
            thread.start()
            thread.join()

            assert has_given_up_cache()

    def test_hears_of_what_a_coroutine_of_the_request_met(self) -> None:
        async def request() -> bool:
            with RequestScope():
                await sync_to_async(give_up_cache)()
                return has_given_up_cache()

        assert asyncio.run(request())

    def test_of_another_thread_hears_nothing(self) -> None:
        with RequestScope():
            thread = threading.Thread(target=give_up_cache)
            thread.start()
            thread.join()

            assert not has_given_up_cache()
