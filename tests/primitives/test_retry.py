"""A retry is one more call, after a random pause, inside the same deadline."""

from collections.abc import Callable

import pytest

from resilience.primitives.clock import ManualClock
from resilience.primitives.deadline import deadline_scope
from resilience.primitives.errors import DeadlineExceededError, RejectedError
from resilience.primitives.retry import Retry


class LostError(Exception):
    """A connection that broke."""


def is_lost(error: Exception) -> bool:
    return isinstance(error, LostError)


class Script:
    """Ends each call as told, in order; counts the calls."""

    def __init__(self, *ends: Exception | str) -> None:
        self._ends = list(ends)
        self.calls = 0

    def __call__(self) -> str:
        end = self._ends[self.calls]
        self.calls += 1
        if isinstance(end, Exception):
            raise end
        return end


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def retry(clock: ManualClock) -> Retry:
    return Retry(retry_on=is_lost, max_delay=0.25, sleep=clock.advance, jitter=lambda: 0.5)


def refusal() -> RejectedError:
    return RejectedError("database", retry_after=1.0, reason="open")


class TestRetry:
    def test_calls_once_when_the_call_succeeds(self, retry: Retry, clock: ManualClock) -> None:
        before = clock.monotonic()
        script = Script("rows")
        assert retry.call(script) == "rows"
        assert script.calls == 1
        assert clock.monotonic() == before

    def test_hands_the_arguments_on(self, retry: Retry) -> None:
        def add(left: int, *, right: int) -> int:
            return left + right

        assert retry.call(add, 1, right=2) == 3

    def test_calls_once_more_after_a_failure_that_may_pass(self, retry: Retry) -> None:
        script = Script(LostError(), "rows")
        assert retry.call(script) == "rows"
        assert script.calls == 2

    def test_by_default_calls_no_third_time(self, retry: Retry) -> None:
        second = LostError("second")
        script = Script(LostError("first"), second, "rows")
        with pytest.raises(LostError) as caught:
            retry.call(script)
        assert caught.value is second
        assert script.calls == 2

    def test_calls_as_often_as_told(self, clock: ManualClock) -> None:
        script = Script(LostError(), LostError(), "rows")
        assert Retry(retry_on=is_lost, attempts=3, sleep=clock.advance).call(script) == "rows"

    def test_of_one_attempt_calls_once(self, clock: ManualClock) -> None:
        script = Script(LostError(), "rows")
        with pytest.raises(LostError):
            Retry(retry_on=is_lost, attempts=1, sleep=clock.advance).call(script)
        assert script.calls == 1

    def test_does_not_repeat_another_failure(self, retry: Retry) -> None:
        script = Script(KeyError(), "rows")
        with pytest.raises(KeyError):
            retry.call(script)
        assert script.calls == 1

    def test_does_not_repeat_an_interrupt(self, clock: ManualClock) -> None:
        calls = []

        def interrupted() -> None:
            calls.append(1)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Retry(retry_on=lambda _: True, sleep=clock.advance).call(interrupted)
        assert calls == [1]

    @pytest.mark.parametrize(
        "end", [refusal(), DeadlineExceededError(), DeadlineExceededError(before_call=True)], ids=repr
    )
    def test_never_repeats_a_refusal_or_a_spent_deadline(self, end: Exception, clock: ManualClock) -> None:
        script = Script(end, "rows")
        with pytest.raises(type(end)) as caught:
            Retry(retry_on=lambda _: True, sleep=clock.advance).call(script)
        assert caught.value is end
        assert script.calls == 1


class TestRefusedRepeat:
    @pytest.mark.parametrize("end", [refusal(), DeadlineExceededError(before_call=True)], ids=repr)
    def test_raises_the_failure_that_led_to_it(self, retry: Retry, end: Exception) -> None:
        failure = LostError()
        with pytest.raises(LostError) as caught:
            retry.call(Script(failure, end))
        assert caught.value is failure
        assert caught.value.__suppress_context__

    def test_a_deadline_met_during_the_repeat_is_told_as_it_is(self, retry: Retry) -> None:
        late = DeadlineExceededError()
        with pytest.raises(DeadlineExceededError) as caught:
            retry.call(Script(LostError(), late))
        assert caught.value is late


class TestPause:
    def test_is_a_random_share_of_the_longest(self, retry: Retry, clock: ManualClock) -> None:
        before = clock.monotonic()
        retry.call(Script(LostError(), "rows"))
        assert clock.monotonic() - before == 0.125

    def test_differs_from_call_to_call_by_default(self) -> None:
        slept: list[float] = []
        retry = Retry(retry_on=is_lost, sleep=slept.append)
        for _ in range(20):
            retry.call(Script(LostError(), "rows"))
        assert len(set(slept)) > 10
        assert all(0.0 <= seconds < 0.05 for seconds in slept)

    def test_inside_the_deadline_is_made(self, retry: Retry, clock: ManualClock) -> None:
        with deadline_scope(0.1251, clock=clock):
            assert retry.call(Script(LostError(), "rows")) == "rows"

    @pytest.mark.parametrize("left", [0.125, 0.0625, 0.0])
    def test_that_would_use_up_the_deadline_is_not_made(
        self, retry: Retry, clock: ManualClock, left: float
    ) -> None:
        script = Script(LostError(), "rows")
        before = clock.monotonic()
        with deadline_scope(left, clock=clock), pytest.raises(LostError):
            retry.call(script)
        assert script.calls == 1
        assert clock.monotonic() == before

    def test_really_sleeps_by_default(self) -> None:
        assert Retry(retry_on=is_lost, jitter=lambda: 0.0).call(Script(LostError(), "rows")) == "rows"


class TestSizes:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (
                lambda: Retry(retry_on=is_lost, attempts=0),
                "attempts must be 1 or more, not 0: the call would never be made",
            ),
            (
                lambda: Retry(retry_on=is_lost, max_delay=-0.1),
                "max_delay must be 0 or more seconds, not -0.1: no pause can last that long",
            ),
            (
                lambda: Retry(retry_on=is_lost, max_delay=float("inf")),
                "max_delay must be 0 or more seconds, not inf: no pause can last that long",
            ),
        ],
    )
    def test_that_make_no_sense_are_refused(self, make: Callable[[], Retry], message: str) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
            make()
        assert str(caught.value) == message

    def test_a_pause_of_nothing_makes_sense(self) -> None:
        assert Retry(retry_on=is_lost, max_delay=0.0).call(Script(LostError(), "rows")) == "rows"
