"""`with breaker.calling(…)`: the one way in which adapters make a call."""

import gc
from collections.abc import Iterator

import pytest

from resilience.primitives import (
    BreakerConfig,
    BreakerOpenError,
    Call,
    CircuitBreaker,
    LocalStore,
    ManualClock,
    Outcome,
    State,
)

from .conftest import Bench


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class TestCall:
    def test_that_succeeds_is_timed_and_counted_by_its_operation(self, bench: Bench) -> None:
        bench.store = LocalStore()
        breaker = bench.breaker()
        with breaker.calling("query") as call:
            bench.clock.advance(0.25)
        assert (call.outcome, call.took) == (Outcome.SUCCESS, 0.25)
        assert breaker.calls()["query", "success"] == 1
        assert breaker.snapshot().successes == 1

    def test_that_fails_counts_and_raises_what_it_raised(self, bench: Bench) -> None:
        breaker = bench.breaker()
        bench.dependency.takes, bench.dependency.error = 0.25, ConnectionError()
        with pytest.raises(ConnectionError), breaker.calling() as call:
            bench.dependency()
        assert (call.outcome, call.took) == (Outcome.FAILURE, 0.25)
        assert breaker.snapshot().failures == 1

    def test_that_is_refused_is_not_made(self, bench: Bench) -> None:
        breaker = bench.opened()
        with pytest.raises(BreakerOpenError), breaker.calling("query"):
            pytest.fail("the block ran")
        assert breaker.snapshot().rejected == 1

    def test_is_a_probe_once_the_open_time_is_over(self, bench: Bench) -> None:
        breaker = bench.due()
        with breaker.calling() as call:
            assert call.admission.permit
        assert breaker.shown() is State.CLOSED

    def test_of_an_admission_is_made_whatever_the_breaker_says_by_then(self, bench: Bench) -> None:
        breaker = bench.breaker()
        admission = breaker.admit()
        bench.fails(breaker, 3)
        with breaker.calling(admission=admission):
            bench.dependency()
        assert bench.dependency.calls == 4
        assert breaker.snapshot().successes == 0  # it was admitted before the breaker opened

    def test_leaves_nothing_to_collect(self, bench: Bench, no_collection: None) -> None:
        breaker = bench.breaker()
        with breaker.calling("query"):
            pass
        with pytest.raises(ConnectionError), breaker.calling("query"):
            raise ConnectionError
        gc.collect()  # what pytest itself has left
        with breaker.calling("query"):
            pass
        assert gc.collect() == 0


class TestJudge:
    def test_says_what_an_error_counts_as_and_knows_the_call(self, bench: Bench) -> None:
        def by_time(call: Call, error: BaseException) -> Outcome:
            assert (call.operation, type(error)) == ("query", TimeoutError)
            return Outcome.FAILURE if call.took >= 1.0 else Outcome.SLOW

        breaker = bench.breaker()
        bench.dependency.error = TimeoutError()
        for seconds in (0.5, 1.0):
            bench.dependency.takes = seconds
            with pytest.raises(TimeoutError), breaker.calling("query", judge=by_time):
                bench.dependency()
        assert (breaker.snapshot().slow, breaker.snapshot().failures) == (1, 1)


class TestQuiet:
    def test_success_counts_for_nothing(self, bench: Bench) -> None:
        breaker = bench.breaker(slow_after=1.0)
        with breaker.calling("connect", quiet=True) as call:
            bench.clock.advance(1.0)
        assert call.outcome is None
        assert breaker.snapshot().calls == 0

    def test_success_counts_when_it_was_slow(self, bench: Bench) -> None:
        breaker = bench.breaker(slow_after=1.0)
        with breaker.calling("connect", quiet=True):
            bench.clock.advance(1.25)
        assert breaker.snapshot().slow == 1


class TestTime:
    def test_of_an_untimed_success_is_nobodys(self, bench: Bench) -> None:
        breaker = bench.breaker(slow_after=1.0)
        with breaker.calling("copy", timed=False) as call:
            bench.clock.advance(5.0)
        assert call.took == 0.0
        assert (breaker.snapshot().slow, breaker.snapshot().successes) == (0, 1)

    def test_of_an_untimed_failure_is_known_all_the_same(self, bench: Bench) -> None:
        breaker = bench.breaker()
        bench.dependency.takes, bench.dependency.error = 5.0, ConnectionError()
        with pytest.raises(ConnectionError), breaker.calling("copy", timed=False) as call:
            bench.dependency()
        assert call.took == 5.0

    def test_may_be_measured_by_another_clock_than_the_open_time(self, bench: Bench) -> None:
        stopwatch = ManualClock()
        config = BreakerConfig(slow_after=1.0)
        breaker = CircuitBreaker(config=config, clock=bench.clock, stopwatch=stopwatch.monotonic)
        with breaker.calling():
            bench.clock.advance(5.0)
        with breaker.calling():
            stopwatch.advance(5.0)
        assert (breaker.snapshot().successes, breaker.snapshot().slow) == (1, 1)
