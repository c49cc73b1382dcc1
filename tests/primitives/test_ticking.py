"""A process that gets no processor blames nobody for the waits that ended meanwhile; others count as ever."""

import threading
import time
from collections.abc import Iterator
from math import inf
from types import SimpleNamespace

import pytest

from resilience.primitives import (
    TICKS,
    BreakerConfig,
    CircuitBreaker,
    LocalStore,
    Outcome,
    own,
    own_trouble,
    ticking,
)
from resilience.primitives.ticking import Ticks


@pytest.fixture
def ticks() -> Iterator[Ticks]:
    """Those of this process, running, with the past of the test alone."""
    TICKS.forget()
    TICKS.start()
    yield TICKS
    TICKS.forget()


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    """Those that the breaker asks, of which the test alone says when they came; no time passes."""
    monkeypatch.setattr(ticking, "time", SimpleNamespace(monotonic=lambda: 1_000.0, sleep=time.sleep))
    ticks = Ticks()
    ticks._thread, ticks._due = threading.current_thread(), inf
    monkeypatch.setattr(own, "TICKS", ticks)
    return ticks


def late_by(ticks: Ticks, seconds: float, *, ago: float = 0.0) -> None:
    came = ticking.time.monotonic() - ago  # type: ignore[attr-defined]
    ticks.note(came - seconds, came)


class TestLateWithin:
    def test_counts_only_what_overlaps_the_wait(self, ticks: Ticks) -> None:
        late_by(ticks, 0.5, ago=1.0)

        assert not ticks.late_within(0.9)
        assert ticks.late_within(1.6)

    @pytest.mark.parametrize(
        ("late", "wait", "excused"),
        [
            (0.14, 0.25, False),  # less than 200 ms is usual, and so is most of a short wait
            (0.16, 0.25, True),
            (0.19, 1.0, False),
            (0.3, 1.0, True),
            (0.3, 2.0, False),  # whoever was asked had 1.7 s of ours
            (0.5, 2.0, True),
        ],
    )
    def test_wants_200_ms_and_a_fifth_of_the_wait_or_most_of_a_short_one(
        self, ticks: Ticks, late: float, wait: float, excused: bool
    ) -> None:
        late_by(ticks, late)

        assert ticks.late_within(wait) is excused

    def test_adds_up_what_was_late(self, ticks: Ticks) -> None:
        for ago in (0.1, 0.5, 0.9):
            late_by(ticks, 0.25, ago=ago)

        assert ticks.late_within(2.0)

    def test_adds_up_what_was_late_by_little_on_an_overloaded_machine(self, ticks: Ticks) -> None:
        """A connect of half a second has a dozen turns, and each of them waits for the processor."""
        for ago in (0.0, 0.15, 0.3):
            late_by(ticks, 0.11, ago=ago)

        assert ticks.late_within(0.5)
        assert not ticks.late_within(1.7)  # whoever was asked had most of it

    def test_leaves_out_what_threads_that_take_turns_do_to_each_other(self, ticks: Ticks) -> None:
        for ago in (0.0, 0.15, 0.3):
            late_by(ticks, 0.09, ago=ago)

        assert not ticks.late_within(0.5)

    def test_sees_a_tick_that_is_overdue_and_has_not_come_yet(self, ticks: Ticks) -> None:
        ticks._due = time.monotonic() - 0.3

        assert ticks.late_within(0.3)

    def test_is_told_by_one_thread_however_often_it_is_started(self, ticks: Ticks) -> None:
        thread = ticks._thread
        ticks.start()

        assert ticks._thread is thread

    def test_is_false_where_nothing_ticks(self) -> None:
        ticks = Ticks()
        late_by(ticks, 5.0)

        assert not ticks.late_within(5.0)


class TestDelayWithin:
    def test_is_what_threads_that_take_turns_do_to_a_call_of_a_few_steps(self, by_hand: Ticks) -> None:
        for ago in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5):
            late_by(by_hand, 0.05, ago=ago)

        assert by_hand.delay_within(0.12) == pytest.approx(0.07, abs=0.03)  # as late as it was meanwhile
        assert by_hand.delay_within(0.6) == pytest.approx(0.2, abs=0.01)  # for four steps

    def test_is_all_that_the_process_was_stopped_for(self, by_hand: Ticks) -> None:
        late_by(by_hand, 0.5)

        assert by_hand.delay_within(0.6) == pytest.approx(0.5, abs=0.01)
        assert by_hand.delay_within(0.3) == pytest.approx(0.3, abs=0.01)

    def test_is_none_in_a_process_that_has_time(self, by_hand: Ticks) -> None:
        late_by(by_hand, 0.01)
        late_by(by_hand, 0.5, ago=2.0)

        assert by_hand.delay_within(1.0) == 0.0
        assert Ticks().delay_within(1.0) == 0.0


class TestBreaker:
    @pytest.fixture
    def breaker(self) -> CircuitBreaker:
        config = BreakerConfig(failure_threshold=3, slow_after=0.1, minimum_volume=3)
        return CircuitBreaker(name="stock", config=config, store=LocalStore())

    def test_ignores_time_outs_and_slow_answers_while_ticks_are_late(
        self, ticks: Ticks, breaker: CircuitBreaker
    ) -> None:
        for _ in range(10):
            late_by(ticks, 0.45)
            breaker.settle(breaker.admit(), Outcome.FAILURE, error=TimeoutError(), took=0.5)
            breaker.settle(breaker.admit(), Outcome.SUCCESS, took=0.5)

        assert breaker.shown() == "CLOSED"
        assert breaker._host.store.counters.totals()["own_trouble", "stock", "processor"] == 20

    @pytest.mark.parametrize(
        ("took", "late", "counts"),
        [
            (0.22, 0.05, False),  # a crowd's threads take turns, and the cache answers in 2 ms
            (0.22, 0.0, True),
            (0.22, 0.01, True),
            (0.6, 0.05, True),  # it is slow beside a crowd, too
            (2.0, 0.09, True),
        ],
    )
    def test_counts_as_slow_what_is_slow_without_the_delays_of_its_own_process(
        self, by_hand: Ticks, took: float, late: float, counts: bool
    ) -> None:
        config = BreakerConfig(slow_after=0.2)  # as the cache's
        breaker = CircuitBreaker(name="cache", config=config, store=LocalStore())
        for ago in (0.0, 0.1):
            late_by(by_hand, late, ago=ago)
        breaker.settle(breaker.admit(), Outcome.SUCCESS, took=took)

        assert breaker.snapshot().slow == counts

    @pytest.mark.parametrize(
        ("missed", "late", "counts"),
        [
            (0.15, 0.05, False),  # it had 100 ms of 250: the process has spent the rest
            (0.15, 0.0, True),  # a server that drips
            (0.0, 0.05, True),  # it had its time, and is silent
        ],
    )
    def test_counts_a_wait_that_had_little_time_if_the_process_did_not_take_it(
        self, by_hand: Ticks, breaker: CircuitBreaker, missed: float, late: float, counts: bool
    ) -> None:
        error = TimeoutError()
        error.missed = missed  # type: ignore[attr-defined]
        for ago in (0.0, 0.1, 0.2, 0.3):
            late_by(by_hand, late, ago=ago)
        outer = ConnectionError()
        outer.__cause__ = error
        breaker.settle(breaker.admit(), Outcome.FAILURE, error=outer, took=0.5)

        assert breaker.snapshot().failures == counts

    def test_counts_time_outs_while_ticks_come_in_time(self, ticks: Ticks, breaker: CircuitBreaker) -> None:
        late_by(ticks, 0.4, ago=2.0)
        for _ in range(3):
            breaker.settle(breaker.admit(), Outcome.FAILURE, error=TimeoutError(), took=0.5)

        assert breaker.shown() == "OPEN"

    def test_counts_a_refusal_however_late_ticks_are(self, ticks: Ticks, breaker: CircuitBreaker) -> None:
        for _ in range(3):
            late_by(ticks, 0.4)
            breaker.settle(breaker.admit(), Outcome.FAILURE, error=ConnectionRefusedError(), took=0.5)

        assert breaker.shown() == "OPEN"

    def test_counts_a_time_out_of_which_it_is_not_known_how_long_it_took(self, ticks: Ticks) -> None:
        late_by(ticks, 5.0)

        assert own_trouble(TimeoutError()) is None
