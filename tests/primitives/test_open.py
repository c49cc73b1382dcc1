"""Open: nothing is called, and every refusal says when to come again."""

import traceback
from typing import Any

import pytest
from circuitbreaker import CircuitBreakerError

from resilience.primitives import BreakerOpenError, CircuitBreaker, Outcome, State
from resilience.primitives.config import BreakerConfig
from resilience.primitives.rules import open_time

from .conftest import Bench


class TestOpen:
    def test_calls_nothing(self, bench: Bench) -> None:
        breaker = bench.opened()
        calls = bench.dependency.calls
        for _ in range(20):
            with pytest.raises(CircuitBreakerError):
                breaker.call(bench.dependency)
        assert bench.dependency.calls == calls
        assert breaker.refuses()
        assert breaker.snapshot().rejected == 20

    def test_says_when_to_come_again(self, bench: Bench) -> None:
        breaker = bench.opened()
        bench.clock.advance(4.0)
        for _ in range(2):
            with pytest.raises(BreakerOpenError) as refusal:
                breaker.admit()
            assert refusal.value.retry_after == pytest.approx(11.0)
            assert (refusal.value.name, refusal.value.reason) == ("database", "open")
        assert breaker.snapshot().retry_after == pytest.approx(11.0)

    def test_each_refusal_is_a_new_one_with_a_traceback_that_does_not_grow(self, bench: Bench) -> None:
        breaker = bench.opened()
        refusals = []
        for _ in range(5):
            try:
                breaker.call(bench.dependency)
            except BreakerOpenError as error:
                refusals.append(error)
        assert len({id(error) for error in refusals}) == 5
        assert len({len(traceback.extract_tb(error.__traceback__)) for error in refusals}) == 1

    def test_stays_open_until_the_very_end(self, bench: Bench) -> None:
        breaker = bench.opened()
        for _ in range(14):
            bench.clock.advance(1.0)
            assert breaker.shown() is State.OPEN
            assert breaker.refuses()
        bench.clock.advance(0.999)
        assert breaker.refuses()
        bench.clock.advance(0.001)
        assert not breaker.refuses()
        assert breaker.shown() is State.HALF_OPEN

    def test_late_results_change_nothing(self, bench: Bench) -> None:
        breaker = bench.breaker()
        early = breaker.admit()
        bench.fails(breaker, 3)
        breaker.settle(early, Outcome.SUCCESS)
        breaker.settle(early, Outcome.FAILURE, error=OSError())
        found = breaker.snapshot()
        assert found.state is State.OPEN
        assert (found.failures, found.successes) == (3, 0)
        assert isinstance(breaker.last_failure, ConnectionError)

    def test_shows_the_window_that_opened_it_for_as_long_as_it_lasts(self, bench: Bench) -> None:
        breaker = bench.opened(recovery_timeout=100.0)
        assert breaker.snapshot().failures == 3
        assert breaker.failure_count == 3
        bench.clock.advance(31)
        assert breaker.snapshot().failures == 0
        assert breaker.failure_count == 3

    def test_names_the_last_error_without_its_values(self, bench: Bench) -> None:
        breaker = bench.breaker(failure_threshold=1)
        with pytest.raises(OSError, match="secret"):
            breaker.call(_broken_pipe)
        found = breaker.snapshot()
        assert found.last_error == "builtins.BrokenPipeError 32"
        assert found.last_error_at == bench.clock.time()

    def test_notes_an_error_of_another_kind_at_once(self, bench: Bench) -> None:
        breaker = bench.breaker()
        bench.fails(breaker)
        with pytest.raises(BrokenPipeError):
            breaker.call(_broken_pipe)
        assert breaker.snapshot().last_error == "builtins.BrokenPipeError 32"


def _broken_pipe() -> None:
    raise BrokenPipeError(32, "secret")


class TestFallback:
    def test_is_called_with_the_same_arguments(self, bench: Bench) -> None:
        breaker = bench.opened()

        def instead(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
            return args, kwargs

        assert breaker.execute(instead, 1, fallback=instead, a=2) == ((1,), {"a": 2})

    def test_given_with_the_call_stands_above_the_breakers_own(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1, fallback_function=lambda: "own")
        with pytest.raises(ZeroDivisionError):
            breaker.call(lambda: 1 / 0)
        assert breaker.call(lambda: "called") == "own"
        assert breaker.execute(lambda: "called") == "own"
        assert breaker.execute(lambda: "called", fallback=lambda: "given") == "given"

    def test_is_not_for_failures(self, bench: Bench) -> None:
        breaker = bench.breaker()
        bench.dependency.error = ConnectionError()
        with pytest.raises(ConnectionError):
            breaker.execute(bench.dependency, fallback=lambda: "instead")


class TestOpenTime:
    def test_is_the_same_each_time_unless_it_grows(self) -> None:
        config = BreakerConfig(recovery_timeout=10)
        assert [open_time(config, n, 0.9) for n in (1, 2, 9)] == [10, 10, 10]

    def test_grows_up_to_a_cap(self) -> None:
        config = BreakerConfig(recovery_timeout=10, backoff=2, max_open=50)
        assert [open_time(config, n, 0.0) for n in (1, 2, 3, 4, 5_000)] == [10, 20, 40, 50, 50]

    def test_is_jittered_by_at_most_a_tenth_and_downwards(self) -> None:
        config = BreakerConfig(recovery_timeout=10, backoff=2)
        assert open_time(config, 2, 0.5) == pytest.approx(19.0)
        assert open_time(config, 2, 0.999) > 18.0

    def test_without_a_cap_ends_within_the_day(self) -> None:
        config = BreakerConfig(recovery_timeout=10, backoff=2)
        assert open_time(config, 5_000, 0.0) == 86_400

    def test_grows_while_probes_fail_and_begins_anew_once_closed(self, bench: Bench) -> None:
        breaker = bench.opened(backoff=2.0, recovery_timeout=10.0)
        first = breaker.snapshot().retry_after
        assert 9.0 < first <= 10.0
        bench.clock.advance(10.0)
        bench.fails(breaker)
        found = breaker.snapshot()
        assert 18.0 < found.retry_after <= 20.0
        assert found.openings == 2
        bench.clock.advance(20.0)
        breaker.call(bench.dependency)
        assert breaker.snapshot().openings == 0
        bench.fails(breaker, 3)
        assert 9.0 < breaker.snapshot().retry_after <= 10.0
