"""A deadline is one clock for a whole request: inner scopes only shorten it."""

import contextvars
import threading

import pytest

from resilience.primitives.clock import ManualClock
from resilience.primitives.deadline import Deadline, budget, current_deadline, deadline_scope
from resilience.primitives.errors import DeadlineExceededError


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class TestDeadline:
    def test_counts_down_to_zero_and_not_below(self, clock: ManualClock) -> None:
        deadline = Deadline(2.0, clock=clock)
        assert deadline.remaining() == 2.0
        clock.advance(0.5)
        assert deadline.remaining() == 1.5
        clock.advance(5.0)
        assert deadline.remaining() == 0.0

    def test_is_expired_from_the_moment_it_ends(self, clock: ManualClock) -> None:
        deadline = Deadline(2.0, clock=clock)
        clock.advance(1.75)
        assert not deadline.expired
        clock.advance(0.25)
        assert deadline.expired

    @pytest.mark.parametrize("seconds", [0.0, -1.0])
    def test_of_nothing_is_spent_at_once(self, clock: ManualClock, seconds: float) -> None:
        assert Deadline(seconds, clock=clock).expired

    def test_refuses_what_is_no_number(self) -> None:
        with pytest.raises(ValueError, match=r"^seconds must be a number, not nan: a deadline that never"):
            Deadline(float("nan"))

    def test_shows_what_is_left(self, clock: ManualClock) -> None:
        assert repr(Deadline(1.25, clock=clock)) == "<Deadline: 1.250 s left>"

    def test_runs_on_the_clock_of_the_system_by_default(self) -> None:
        assert 59.0 < Deadline(60.0).remaining() <= 60.0


class TestScope:
    def test_outside_there_is_no_deadline(self) -> None:
        assert current_deadline() is None

    def test_holds_inside_and_ends_with_the_block(self, clock: ManualClock) -> None:
        with deadline_scope(2.0, clock=clock) as deadline:
            assert current_deadline() is deadline
            assert deadline.remaining() == 2.0
        assert current_deadline() is None

    def test_ends_when_the_block_raises(self, clock: ManualClock) -> None:
        with pytest.raises(KeyError), deadline_scope(2.0, clock=clock):
            raise KeyError
        assert current_deadline() is None

    def test_an_inner_one_shortens(self, clock: ManualClock) -> None:
        with deadline_scope(2.0, clock=clock) as outer:
            with deadline_scope(0.5, clock=clock) as inner:
                assert inner.remaining() == 0.5
            assert current_deadline() is outer

    def test_an_inner_one_never_lengthens(self, clock: ManualClock) -> None:
        with deadline_scope(2.0, clock=clock) as outer:
            clock.advance(1.0)
            with deadline_scope(1.5, clock=clock) as inner:
                assert inner is outer
                assert inner.remaining() == 1.0

    def test_an_inner_one_that_ends_at_the_same_moment_is_the_outer_one(self, clock: ManualClock) -> None:
        with deadline_scope(2.0, clock=clock) as outer, deadline_scope(2.0, clock=clock) as inner:
            assert inner is outer

    def test_runs_on_the_clock_of_the_system_by_default(self) -> None:
        with deadline_scope(60.0) as deadline:
            assert 59.0 < deadline.remaining() <= 60.0

    def test_a_new_thread_sees_it_only_in_a_copied_context(self, clock: ManualClock) -> None:
        seen: list[Deadline | None] = []

        def look() -> None:
            seen.append(current_deadline())

        with deadline_scope(2.0, clock=clock) as deadline:
            context = contextvars.copy_context()
            for target in (look, lambda: context.run(look)):
                thread = threading.Thread(target=target)
                thread.start()
                thread.join()
        assert seen == [None, deadline]


class TestBudget:
    def test_is_the_limit_without_a_deadline(self) -> None:
        assert budget(3.0) == 3.0

    def test_is_the_limit_while_more_is_left(self, clock: ManualClock) -> None:
        with deadline_scope(2.0, clock=clock):
            assert budget(0.5) == 0.5

    def test_is_what_is_left_once_that_is_less(self, clock: ManualClock) -> None:
        with deadline_scope(2.0, clock=clock):
            clock.advance(1.75)
            assert budget(0.5) == 0.25

    def test_refuses_a_call_that_could_not_begin_in_time(self, clock: ManualClock) -> None:
        with deadline_scope(2.0, clock=clock):
            clock.advance(2.0)
            with pytest.raises(DeadlineExceededError, match=r"spent before the call began$") as caught:
                budget(0.5)
        assert caught.value.before_call is True
