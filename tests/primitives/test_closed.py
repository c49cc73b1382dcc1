"""Closed: calls are made and counted, and enough trouble opens."""

import pytest

from resilience.primitives import BreakerConfig, CircuitBreaker, Outcome, RejectedError, State
from resilience.primitives.rules import Totals, must_open

from .conftest import Bench

RULE = BreakerConfig(failure_threshold=3, minimum_volume=10, failure_rate=0.5)


class TestTheRule:
    @pytest.mark.parametrize(
        ("failures", "slow", "successes", "unbroken", "opens"),
        [
            (0, 0, 0, 0, False),
            # (a) enough failures since the last success, whatever the volume
            (2, 0, 0, 2, False),
            (3, 0, 0, 3, True),
            (3, 0, 1_000, 3, True),
            (9, 0, 0, 2, False),  # broken by a success, and below the minimum volume
            (2, 0, 0, 9, False),  # the run is older than the window
            (2, 7, 0, 2, False),  # a slow call is no failure
            # (b) enough trouble, enough calls, and a large enough share of them
            (3, 0, 7, 1, False),
            (4, 0, 6, 1, False),
            (5, 0, 5, 1, True),
            (5, 0, 4, 1, False),  # nine calls
            (3, 2, 5, 1, True),
            (0, 5, 5, 0, True),
            (0, 5, 6, 0, False),
            (2, 0, 0, 1, False),
            (0, 10, 0, 0, True),
            (0, 9, 0, 0, False),
            # noise
            (30, 0, 30_000, 1, False),
        ],
    )
    def test_opens_on_a_run_of_failures_or_on_a_share(
        self, failures: int, slow: int, successes: int, unbroken: int, opens: bool
    ) -> None:
        assert must_open(RULE, Totals(failures, slow, successes, unbroken)) is opens

    def test_needs_the_threshold_even_where_the_share_is_large(self) -> None:
        config = BreakerConfig(failure_threshold=4, minimum_volume=1)
        assert not must_open(config, Totals(2, 1, 0, 2))
        assert must_open(config, Totals(2, 2, 0, 2))


class TestClosed:
    def test_passes_results_and_arguments_through(self, bench: Bench) -> None:
        breaker = bench.breaker()
        assert breaker.call(lambda *args, **kwargs: (args, kwargs), 1, a=2) == ((1,), {"a": 2})
        assert breaker.shown() is State.CLOSED
        assert breaker.snapshot().successes == 1

    def test_the_tripping_call_raises_the_dependencys_own_exception(self, bench: Bench) -> None:
        breaker = bench.breaker()
        bench.fails(breaker, 3)
        assert breaker.shown() is State.OPEN
        assert isinstance(breaker.last_failure, ConnectionError)

    def test_an_outage_opens_it_after_exactly_as_many_failures_at_any_volume(self, bench: Bench) -> None:
        breaker = bench.breaker()
        for _ in range(500):
            breaker.call(bench.dependency)
        bench.fails(breaker, 2)
        assert breaker.shown() is State.CLOSED
        bench.fails(breaker)
        assert breaker.shown() is State.OPEN

    def test_a_success_in_between_breaks_the_run(self, bench: Bench) -> None:
        breaker = bench.breaker(minimum_volume=100)
        for _ in range(10):
            bench.fails(breaker, 2)
            breaker.call(bench.dependency)
        assert breaker.shown() is State.CLOSED
        assert breaker.snapshot().failures == 20
        bench.fails(breaker, 3)
        assert breaker.shown() is State.OPEN

    def test_a_share_of_failures_opens_it_once_there_are_enough_calls(self, bench: Bench) -> None:
        breaker = bench.breaker(minimum_volume=6)
        for _ in range(2):
            breaker.call(bench.dependency)
            bench.fails(breaker)
        breaker.call(bench.dependency)
        assert breaker.shown() is State.CLOSED
        bench.fails(breaker)
        assert breaker.shown() is State.OPEN
        assert breaker.failure_count == 3

    @pytest.mark.parametrize("apart", [14.9, 15.0])
    def test_failures_count_for_exactly_the_window(self, bench: Bench, apart: float) -> None:
        breaker = bench.breaker()
        for _ in range(2):
            bench.fails(breaker)
            bench.clock.advance(apart)
        bench.fails(breaker)
        assert breaker.shown() is State.OPEN

    def test_failures_older_than_the_window_do_not_count(self, bench: Bench) -> None:
        breaker = bench.breaker()
        bench.fails(breaker, 2)
        bench.clock.advance(30.001)
        bench.fails(breaker, 2)
        assert breaker.shown() is State.CLOSED
        assert breaker.failure_count == 2

    def test_successes_leave_the_window_too(self, bench: Bench) -> None:
        breaker = bench.breaker()
        for _ in range(40):
            breaker.call(bench.dependency)
            bench.clock.advance(1.0)
        assert 27 <= breaker.snapshot().successes <= 30
        bench.clock.advance(31)
        assert breaker.snapshot().calls == 0

    def test_keeps_the_last_eight_failures_to_the_moment(self, bench: Bench) -> None:
        breaker = bench.breaker(failure_threshold=8)
        for _ in range(8):
            bench.fails(breaker)
            bench.clock.advance(4.28)
        assert breaker.shown() is State.OPEN

    def test_knows_above_eight_to_a_tenth_of_the_window(self, bench: Bench) -> None:
        breaker = bench.breaker(failure_threshold=12)
        for _ in range(12):
            bench.fails(breaker)
            bench.clock.advance(2.2)
        assert breaker.shown() is State.OPEN


class TestSlowCalls:
    def test_a_call_that_took_too_long_is_slow_and_no_success(self, bench: Bench) -> None:
        breaker = bench.breaker(slow_after=1.0, minimum_volume=5)
        bench.dependency.takes = 1.5
        for _ in range(4):
            assert breaker.call(bench.dependency) == "answer"
        found = breaker.snapshot()
        assert (found.slow, found.successes, found.failures, found.failure_rate) == (4, 0, 0, 1.0)
        assert breaker.shown() is State.CLOSED
        breaker.call(bench.dependency)
        assert breaker.shown() is State.OPEN

    def test_a_call_that_took_just_as_long_as_it_may_is_a_success(self, bench: Bench) -> None:
        breaker = bench.breaker(slow_after=1.0)
        bench.dependency.takes = 1.0
        breaker.call(bench.dependency)
        assert breaker.snapshot().successes == 1

    def test_a_slow_call_does_not_break_a_run_of_failures(self, bench: Bench) -> None:
        breaker = bench.breaker(slow_after=1.0, minimum_volume=100)
        bench.fails(breaker, 2)
        bench.dependency.takes = 1.5
        breaker.call(bench.dependency)
        bench.dependency.takes = 0
        bench.fails(breaker)
        assert breaker.shown() is State.OPEN

    def test_the_time_may_be_measured_elsewhere(self, bench: Bench) -> None:
        breaker = bench.breaker(slow_after=1.0)
        admission = breaker.admit()
        breaker.settle(admission, Outcome.SUCCESS, took=1.1)
        breaker.settle(admission, Outcome.SUCCESS, took=0.9)
        found = breaker.snapshot()
        assert (found.slow, found.successes) == (1, 1)


class TestWhatCounts:
    @pytest.mark.parametrize(
        "error",
        [KeyboardInterrupt(), GeneratorExit(), RejectedError("inner", retry_after=1, reason="full")],
    )
    def test_what_never_reached_the_dependency_counts_for_nothing(
        self, bench: Bench, error: BaseException
    ) -> None:
        breaker = bench.breaker()
        bench.dependency.error = error
        for _ in range(5):
            with pytest.raises(type(error)):
                breaker.call(bench.dependency)
        assert breaker.snapshot().calls == 0

    def test_what_is_not_expected_counts_for_nothing_while_closed(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1, expected_exception=ConnectionError)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                breaker.call(lambda: 1 / 0)
        assert breaker.closed
        assert breaker.snapshot().calls == 0

    def test_a_classifier_decides_alone(self) -> None:
        breaker = CircuitBreaker(failure_threshold=1, classify=lambda error: Outcome.FAILURE)
        with pytest.raises(KeyboardInterrupt):
            breaker.call(_interrupted)
        assert breaker.opened

    def test_several_calls_may_be_measured_under_one_admission(self, bench: Bench) -> None:
        breaker = bench.breaker()
        admission = breaker.admit()
        breaker.settle(admission, Outcome.SUCCESS, operation="connect")
        breaker.settle(admission, Outcome.ANSWERED, operation="query")
        breaker.settle(admission, Outcome.IGNORED, operation="query")
        breaker.settle(admission, Outcome.FAILURE, error=ConnectionError(), operation="commit")
        found = breaker.snapshot()
        assert (found.successes, found.failures, found.calls) == (1, 1, 2)

    def test_a_result_of_an_earlier_generation_counts_for_nothing(self, bench: Bench) -> None:
        breaker = bench.breaker()
        early = breaker.admit()
        bench.fails(breaker, 3)
        breaker.reset()
        for outcome in Outcome:
            breaker.settle(early, outcome)
        assert breaker.snapshot().calls == 0
        assert breaker.shown() is State.CLOSED


def _interrupted() -> None:
    raise KeyboardInterrupt
