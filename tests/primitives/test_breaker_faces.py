"""One breaker, many faces: functions, methods, generators, coroutines, with blocks."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from circuitbreaker import CircuitBreakerError, CircuitBreakerMonitor

from resilience.primitives import (
    BreakerConfig,
    BreakerOpenError,
    CircuitBreaker,
    DeadlineExceededError,
    ManualClock,
    Outcome,
    State,
)

from .conftest import Bench


def run(kind: str, breaker: CircuitBreaker, work: Callable[[], str], way: str) -> list[str]:
    """Do `work` in a function of some kind, guarded in some way; return what it gave."""

    def plain() -> str:
        return work()

    def generator() -> Iterator[str]:
        yield work()

    async def coroutine() -> str:
        return work()

    async def async_generator() -> AsyncIterator[str]:
        yield work()

    function: Any = {
        "function": plain,
        "generator": generator,
        "coroutine": coroutine,
        "async generator": async_generator,
    }[kind]
    caller: Any = {
        "function": breaker.call,
        "generator": breaker.call_generator,
        "coroutine": breaker.call_async,
        "async generator": breaker.call_async_generator,
    }[kind]
    if way == "call":
        given: Any = caller(function)
    elif way == "execute":
        given = breaker.execute(function)
    else:
        given = breaker(function)()

    async def collected() -> list[str]:
        return [item async for item in given]

    async def awaited() -> list[str]:
        return [await given]

    if kind == "function":
        return [given]
    if kind == "generator":
        return list(given)
    return asyncio.run(awaited() if kind == "coroutine" else collected())


KINDS = ["function", "generator", "coroutine", "async generator"]
WAYS = ["call", "execute", "decorator"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
class TestKinds:
    def test_success_failure_refusal_and_probe(self, bench: Bench, kind: str, way: str) -> None:
        breaker = bench.breaker()
        work = bench.dependency
        assert run(kind, breaker, work, way) == ["answer"]
        assert breaker.snapshot().successes == 1
        work.error = ConnectionError()
        for _ in range(3):
            with pytest.raises(ConnectionError):
                run(kind, breaker, work, way)
        calls = work.calls
        with pytest.raises(BreakerOpenError):
            run(kind, breaker, work, way)
        assert work.calls == calls
        work.error = None
        bench.clock.advance(15)
        assert run(kind, breaker, work, way) == ["answer"]
        assert breaker.shown() is State.CLOSED

    def test_a_refusal_when_half_open_uses_the_fallback_too(self, kind: str, way: str) -> None:
        clock = ManualClock()
        breaker = CircuitBreaker(
            fallback_function=_fallbacks()[kind],
            config=BreakerConfig(failure_threshold=1, recovery_timeout=1),
            clock=clock,
        )
        breaker.settle(breaker.admit(), Outcome.FAILURE)
        assert run(kind, breaker, lambda: "called", way) == ["instead"]
        clock.advance(1)
        breaker.admit()
        assert run(kind, breaker, lambda: "called", way) == ["instead"]


def _fallbacks() -> dict[str, Callable[..., Any]]:
    def generator() -> Iterator[str]:
        yield "instead"

    async def coroutine() -> str:
        return "instead"

    async def async_generator() -> AsyncIterator[str]:
        yield "instead"

    return {
        "function": lambda: "instead",
        "generator": generator,
        "coroutine": coroutine,
        "async generator": async_generator,
    }


class TestMeasuring:
    def test_the_time_of_a_coroutine_counts(self, bench: Bench) -> None:
        breaker = bench.breaker(slow_after=1.0)

        async def slow() -> None:
            bench.clock.advance(2)

        asyncio.run(_await(breaker.call_async(slow)))
        assert breaker.snapshot().slow == 1

    def test_the_time_of_a_generators_consumer_does_not(self, bench: Bench) -> None:
        breaker = bench.breaker(slow_after=1.0)
        for _ in breaker.call_generator(lambda: iter([1, 2])):
            bench.clock.advance(5)
        found = breaker.snapshot()
        assert (found.slow, found.successes) == (0, 1)

    def test_a_generator_that_is_left_early_counts_for_nothing(self, bench: Bench) -> None:
        breaker = bench.breaker()
        items = breaker.call_generator(lambda: (n for n in range(9)))
        assert next(items) == 0
        items.close()  # type: ignore[attr-defined]
        assert breaker.snapshot().calls == 0

    def test_a_cancelled_task_counts_for_nothing(self, bench: Bench) -> None:
        breaker = bench.breaker()

        async def cancelled() -> None:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(_await(breaker.call_async(cancelled)))
        assert breaker.snapshot().calls == 0

    def test_a_deadline_counts_only_if_the_call_was_made(self, bench: Bench) -> None:
        breaker = bench.breaker()
        for before_call in (True, False):
            bench.dependency.error = DeadlineExceededError(before_call=before_call)
            with pytest.raises(DeadlineExceededError):
                breaker.call(bench.dependency)
        assert breaker.snapshot().failures == 1


async def _await(given: Any) -> Any:
    return await given


class TestWithBlock:
    def test_admits_measures_and_refuses(self, bench: Bench) -> None:
        breaker = bench.breaker(slow_after=1.0)
        with breaker:
            pass
        with breaker:
            bench.clock.advance(1.1)
        for _ in range(3):
            with pytest.raises(ConnectionError), breaker:
                raise ConnectionError
        found = breaker.snapshot()
        assert (found.successes, found.slow, found.failures) == (1, 1, 3)
        with pytest.raises(BreakerOpenError), breaker:
            pytest.fail("entered")

    def test_may_lie_in_itself_and_in_others(self) -> None:
        one, two = CircuitBreaker(failure_threshold=1), CircuitBreaker(failure_threshold=1)
        with one, two, pytest.raises(ConnectionError), one:
            raise ConnectionError
        assert (one.shown(), two.shown()) == (State.OPEN, State.CLOSED)
        assert two.snapshot().successes == 1

    def test_may_be_left_in_another_order(self) -> None:
        one, two = CircuitBreaker(failure_threshold=1), CircuitBreaker(failure_threshold=1)
        one.__enter__()
        two.__enter__()
        one.__exit__(ConnectionError, ConnectionError(), None)
        two.__exit__(None, None, None)
        assert (one.shown(), two.shown()) == (State.OPEN, State.CLOSED)

    def test_left_elsewhere_than_it_was_entered_counts_for_nothing(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1)
        contextvars.copy_context().run(breaker.__enter__)
        assert breaker.__exit__(ConnectionError, ConnectionError(), None) is False
        assert breaker.snapshot().calls == 0

    def test_gives_nothing_to_the_block(self) -> None:
        with CircuitBreaker() as given:
            assert given is None


class TestDecorator:
    def test_guards_methods(self) -> None:
        breaker = CircuitBreaker(name="methods", failure_threshold=1)

        class Shop:
            def __init__(self) -> None:
                self.stock = 3

            @breaker
            def sell(self, count: int) -> int:
                """Sell some."""
                self.stock -= count
                if self.stock < 0:
                    raise ConnectionError
                return self.stock

        shop = Shop()
        assert shop.sell(2) == 1
        assert Shop.sell.__doc__ == "Sell some."
        with pytest.raises(ConnectionError):
            shop.sell(count=5)
        with pytest.raises(CircuitBreakerError):
            Shop().sell(1)

    def test_names_an_unnamed_breaker_after_its_function(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1)

        @breaker
        def fetch() -> None:
            raise ConnectionError

        with pytest.raises(ConnectionError):
            fetch()
        with pytest.raises(BreakerOpenError, match="fetch: open"):
            fetch()
        assert breaker.snapshot().name == breaker.name
        assert CircuitBreakerMonitor.get(breaker.name) is breaker

    def test_asks_a_subclass_that_has_an_opinion(self) -> None:
        class Moody(CircuitBreaker):
            mood = False

            @property
            def opened(self) -> bool:
                return self.mood

        breaker = Moody()
        assert breaker.call(lambda: 1) == 1
        breaker.mood = True
        with pytest.raises(BreakerOpenError):
            breaker.call(lambda: 1)
        breaker.mood = False
        assert breaker.call(lambda: 1) == 1
        assert breaker.snapshot().successes == 2


class TestLibrarysWords:
    def test_state_remaining_and_count(self, bench: Bench) -> None:
        breaker = bench.breaker()
        assert (breaker.state, breaker.closed, breaker.opened) == ("closed", True, False)
        assert breaker.open_remaining == 15
        bench.clock.advance(20)
        assert breaker.open_remaining == -5
        bench.fails(breaker, 3)
        bench.clock.advance(0.5)
        assert (breaker.state, breaker.open_remaining, breaker.failure_count) == ("open", 15, 3)
        bench.clock.advance(15)
        assert (breaker.state, breaker.open_remaining) == ("half_open", -1)
        assert breaker.failure_count == 3

    def test_its_constructor_arguments_are_all_optional(self) -> None:
        breaker = CircuitBreaker()
        assert str(breaker) == "unnamed_CircuitBreaker"
        assert breaker.config == BreakerConfig()

    def test_configuration_stands_above_its_arguments(self) -> None:
        breaker = CircuitBreaker(3, 9, config=BreakerConfig(failure_threshold=7, recovery_timeout=8))
        assert (breaker.config.failure_threshold, breaker._failure_threshold) == (7, 7)
        assert breaker._recovery_timeout == 8

    def test_a_predicate_sees_class_and_exception(self) -> None:
        seen: list[Any] = []

        def predicate(kind: type[BaseException], error: BaseException) -> bool:
            seen.append((kind, str(error)))
            return False

        breaker = CircuitBreaker(failure_threshold=1, expected_exception=predicate)
        with pytest.raises(OSError, match="x"):
            breaker.call(_fail)
        assert seen == [(OSError, "x")]
        assert breaker.closed

    def test_an_unexpected_error_closes_a_half_open_breaker(self) -> None:
        clock = ManualClock()
        breaker = CircuitBreaker(1, 1, expected_exception=ConnectionError, clock=clock)
        breaker.settle(breaker.admit(), Outcome.FAILURE)
        clock.advance(1)
        with pytest.raises(OSError, match="x"):
            breaker.call(_fail)
        assert breaker.closed


def _fail() -> None:
    raise OSError("x")


class TestCalls:
    def test_are_told_by_operation_and_outcome(self, host_store: Any) -> None:
        bench = Bench(host_store)
        breaker = bench.breaker(slow_after=1.0)
        breaker.call(bench.dependency)
        bench.fails(breaker)
        admission = breaker.admit()
        breaker.settle(admission, Outcome.SUCCESS, operation="connect")
        breaker.settle(admission, Outcome.SUCCESS, operation="query", took=2.0)
        breaker.settle(admission, Outcome.ANSWERED, operation="query")
        breaker.settle(admission, Outcome.IGNORED, operation="query")
        breaker.reset()
        breaker.settle(admission, Outcome.FAILURE, operation="commit")
        assert breaker.calls() == {
            ("call", "success"): 1,
            ("call", "failure"): 1,
            ("connect", "success"): 1,
            ("query", "slow"): 1,
            ("query", "answered"): 1,
            ("query", "ignored"): 1,
            ("commit", "late"): 1,
        }

    def test_of_a_breaker_of_ones_own_are_successes_alone(self) -> None:
        breaker = CircuitBreaker()
        breaker.call(lambda: 1)
        breaker.settle(breaker.admit(), Outcome.SUCCESS, operation="query")
        assert breaker.calls() == {("call", "success"): 2}
