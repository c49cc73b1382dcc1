"""What `with` blocks remember, and what a subclass's opinion tells whom it refuses."""

import pytest

from resilience.primitives import BreakerConfig, BreakerOpenError, CircuitBreaker, LocalStore, ManualClock
from resilience.primitives.breaker import _blocks


class Moody(CircuitBreaker):
    """Opens as it likes."""

    mood = True

    @property
    def opened(self) -> bool:
        return self.mood


class TestBlocks:
    def test_are_forgotten_when_they_are_left(self) -> None:
        one, two = CircuitBreaker(), CircuitBreaker()
        with one, two, one:
            assert len(_blocks.get()) == 3
        assert _blocks.get() == ()

    def test_left_out_of_order_are_all_measured(self) -> None:
        breakers = [CircuitBreaker() for _ in range(3)]
        for breaker in breakers:
            breaker.__enter__()
        for breaker in breakers:
            breaker.__exit__(None, None, None)
        assert [breaker.snapshot().successes for breaker in breakers] == [1, 1, 1]
        assert _blocks.get() == ()


class TestOpinion:
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def breaker(self, clock: ManualClock) -> Moody:
        config = BreakerConfig(failure_threshold=1, recovery_timeout=15.0)
        return Moody(name="moody", config=config, clock=clock)

    def refusal(self, breaker: Moody) -> BreakerOpenError:
        with pytest.raises(BreakerOpenError) as caught:
            breaker.call(lambda: None)
        assert caught.value._circuit_breaker is breaker
        assert (caught.value.name, caught.value.reason) == ("moody", "open")
        return caught.value

    def test_of_a_closed_breaker_may_change_at_once(self, breaker: Moody) -> None:
        assert self.refusal(breaker).retry_after == 0.0

    def test_of_an_open_breaker_waits_for_its_open_time(self, breaker: Moody, clock: ManualClock) -> None:
        def fail() -> None:
            raise ConnectionError

        breaker.mood = False
        with pytest.raises(ConnectionError):
            breaker.call(fail)
        breaker.mood = True
        clock.advance(14.5)
        assert self.refusal(breaker).retry_after == 0.5

    def test_of_a_command_is_heard_and_counted_for_nothing(self) -> None:
        breaker = Moody(name="moody", store=LocalStore(role="command"))
        assert self.refusal(breaker).retry_after == 0.0
        assert breaker.snapshot().rejected == 0
