"""A guard is bulkhead( retry( breaker( deadline( call )))); a refusal inside it counts against nobody."""

from collections.abc import Callable

import pytest

from resilience.primitives.breaker import CircuitBreaker
from resilience.primitives.bulkhead import Bulkhead
from resilience.primitives.clock import ManualClock
from resilience.primitives.config import BreakerConfig, BulkheadConfig
from resilience.primitives.deadline import current_deadline, deadline_scope
from resilience.primitives.errors import BreakerOpenError, BulkheadFullError, DeadlineExceededError
from resilience.primitives.guard import Guard
from resilience.primitives.retry import Retry
from resilience.primitives.rules import Outcome


class LostError(Exception):
    """A connection that broke."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker(clock: ManualClock) -> CircuitBreaker:
    config = BreakerConfig(failure_threshold=3, recovery_timeout=15.0, window=30.0)
    return CircuitBreaker(name="partner", config=config, clock=clock)


@pytest.fixture
def bulkhead() -> Bulkhead:
    return Bulkhead("partner", BulkheadConfig(running=1, waiting=0))


@pytest.fixture
def retry(clock: ManualClock) -> Retry:
    return Retry(retry_on=lambda error: isinstance(error, LostError), sleep=clock.advance)


@pytest.fixture
def guard(bulkhead: Bulkhead, retry: Retry, breaker: CircuitBreaker, clock: ManualClock) -> Guard:
    return Guard("partner", bulkhead=bulkhead, retry=retry, breaker=breaker, limit=2.0, clock=clock)


def lose() -> str:
    raise LostError


def add(left: int, *, right: int) -> int:
    return left + right


class TestCall:
    def test_returns_what_the_function_returns(self, guard: Guard, breaker: CircuitBreaker) -> None:
        assert guard.call(add, 1, right=2) == 3
        assert breaker.snapshot().successes == 1

    def test_of_an_empty_guard_is_the_plain_call(self) -> None:
        guard = Guard("partner")
        assert guard.call(add, 1, right=2) == 3
        assert guard.call(current_deadline) is None

    def test_tells_what_it_is_made_of(
        self, guard: Guard, bulkhead: Bulkhead, retry: Retry, breaker: CircuitBreaker
    ) -> None:
        parts = (guard.name, guard.bulkhead, guard.retry, guard.breaker, guard.limit)
        assert parts == ("partner", bulkhead, retry, breaker, 2.0)

    def test_raises_what_the_function_raises(self, guard: Guard) -> None:
        def mistake() -> None:
            raise KeyError("mistake")

        with pytest.raises(KeyError, match="mistake"):
            guard.call(mistake)


class TestOrder:
    def test_the_call_holds_a_place(self, guard: Guard, bulkhead: Bulkhead) -> None:
        assert guard.call(lambda: bulkhead.in_use) == 1
        assert bulkhead.in_use == 0

    def test_each_try_is_counted_by_the_breaker(self, guard: Guard, breaker: CircuitBreaker) -> None:
        with pytest.raises(LostError):
            guard.call(lose)
        assert breaker.snapshot().failures == 2

    def test_each_try_has_a_deadline_of_its_own(self, guard: Guard, clock: ManualClock) -> None:
        left: list[float] = []

        def lose_slowly() -> None:
            deadline = current_deadline()
            assert deadline is not None
            left.append(deadline.remaining())
            clock.advance(1.5)
            raise LostError

        with pytest.raises(LostError):
            guard.call(lose_slowly)
        assert left == [2.0, 2.0]

    def test_no_try_outlasts_the_deadline_of_the_request(self, guard: Guard, clock: ManualClock) -> None:
        def left() -> float:
            deadline = current_deadline()
            assert deadline is not None
            return deadline.remaining()

        with deadline_scope(0.5, clock=clock):
            assert guard.call(left) == 0.5

    def test_a_guard_without_a_limit_leaves_the_deadline_alone(self, clock: ManualClock) -> None:
        with deadline_scope(0.5, clock=clock) as deadline:
            assert Guard("partner").call(current_deadline) is deadline

    def test_a_repeat_that_the_breaker_refuses_raises_the_failure_that_opened_it(
        self, guard: Guard, breaker: CircuitBreaker
    ) -> None:
        with pytest.raises(LostError):
            guard.call(lose)
        with pytest.raises(LostError):
            guard.call(lose)  # The third failure opens; the repeat is refused.
        assert breaker.snapshot().state == "OPEN"
        with pytest.raises(BreakerOpenError):
            guard.call(lose)


class TestNeverCounted:
    """What the guard itself refuses says nothing about the dependency."""

    def uncounted(self, breaker: CircuitBreaker) -> bool:
        snapshot = breaker.snapshot()
        return (snapshot.calls, snapshot.failures) == (0, 0)

    def test_a_full_bulkhead(self, guard: Guard, bulkhead: Bulkhead, breaker: CircuitBreaker) -> None:
        with bulkhead.enter(), pytest.raises(BulkheadFullError):
            guard.call(lose)
        assert self.uncounted(breaker)

    def test_a_deadline_spent_before_the_call(
        self, guard: Guard, breaker: CircuitBreaker, clock: ManualClock
    ) -> None:
        with deadline_scope(0.0, clock=clock), pytest.raises(DeadlineExceededError) as caught:
            guard.call(lose)
        assert caught.value.before_call
        assert self.uncounted(breaker)

    def test_a_deadline_spent_before_the_call_takes_no_permit(
        self, guard: Guard, breaker: CircuitBreaker, clock: ManualClock
    ) -> None:
        for _ in range(2):
            with pytest.raises(LostError):
                guard.call(lose)
        clock.advance(15.0)
        with deadline_scope(0.0, clock=clock), pytest.raises(DeadlineExceededError):
            guard.call(add, 1, right=2)
        assert guard.call(add, 1, right=2) == 3
        assert breaker.snapshot().state == "CLOSED"

    @pytest.mark.parametrize(
        "inner",
        [
            lambda: BulkheadFullError("inner", retry_after=1.0, reason="full"),
            lambda: DeadlineExceededError(before_call=True),
        ],
        ids=["bulkhead full", "deadline spent"],
    )
    def test_a_refusal_from_inside(
        self, guard: Guard, breaker: CircuitBreaker, inner: Callable[[], Exception]
    ) -> None:
        def refuse() -> None:
            raise inner()

        for _ in range(5):
            with pytest.raises((BulkheadFullError, DeadlineExceededError)):
                guard.call(refuse)
        assert self.uncounted(breaker)
        assert breaker.snapshot().state == "CLOSED"

    def test_an_inner_breaker_that_is_open(
        self, guard: Guard, breaker: CircuitBreaker, clock: ManualClock
    ) -> None:
        inner = CircuitBreaker(name="inner", config=BreakerConfig(failure_threshold=1), clock=clock)
        with pytest.raises(LostError):
            inner.execute(lose)
        with pytest.raises(BreakerOpenError):
            guard.call(inner.execute, lose)
        assert self.uncounted(breaker)


class TestFallback:
    def test_answers_with_the_same_arguments_when_the_bulkhead_is_full(
        self, guard: Guard, bulkhead: Bulkhead
    ) -> None:
        with bulkhead.enter():
            assert guard.call(lambda left, *, right: -1, 1, right=2, fallback=add) == 3

    def test_answers_when_the_breaker_is_open(self, guard: Guard, breaker: CircuitBreaker) -> None:
        breaker.isolate(who="test", why="repairs")
        assert guard.call(lose, fallback=lambda: "stored") == "stored"

    def test_answers_when_the_deadline_was_spent_before(self, guard: Guard, clock: ManualClock) -> None:
        with deadline_scope(0.0, clock=clock):
            assert guard.call(lose, fallback=lambda: "stored") == "stored"

    def test_does_not_hide_a_failure(self, guard: Guard) -> None:
        with pytest.raises(LostError):
            guard.call(lose, fallback=lambda: "stored")

    def test_does_not_hide_a_deadline_met_during_the_call(self, guard: Guard) -> None:
        def late() -> str:
            raise DeadlineExceededError

        with pytest.raises(DeadlineExceededError):
            guard.call(late, fallback=lambda: "stored")


class TestCalling:
    """The same around a block, which cannot be run twice."""

    def test_surrounds_the_block_in_the_same_order(
        self, guard: Guard, bulkhead: Bulkhead, breaker: CircuitBreaker
    ) -> None:
        with guard.calling("fetch"):
            deadline = current_deadline()
            assert bulkhead.in_use == 1
        assert deadline is not None
        assert deadline.remaining() == 2.0
        assert breaker.snapshot().successes == 1

    def test_counts_a_failure_as_it_is_told_and_repeats_nothing(
        self, guard: Guard, breaker: CircuitBreaker
    ) -> None:
        with pytest.raises(LostError), guard.calling(classify=lambda error: Outcome.SLOW):
            lose()
        assert (breaker.snapshot().calls, breaker.snapshot().slow) == (1, 1)

    def test_takes_no_permit_for_what_cannot_begin(self, guard: Guard, breaker: CircuitBreaker) -> None:
        with deadline_scope(0.0), pytest.raises(DeadlineExceededError), guard.calling():
            pytest.fail("the block ran")
        assert breaker.snapshot().calls == 0

    def test_of_an_empty_guard_is_the_plain_block(self) -> None:
        with Guard("partner").calling():
            assert current_deadline() is None
