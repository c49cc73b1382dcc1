"""How long a refused hit must wait, to the moment; and who gives way when there is no room."""

import pytest

from resilience.primitives import LocalStore, ManualClock
from resilience.primitives.limits import Decision, Limits
from resilience.primitives.store import Layout

COUNTED = Decision(allowed=True, retry_after=0.0, counted=True)
# One key has eight places; with room for eight, all keys have the same.
EIGHT = Layout(breakers=1, slots=1, limits=8)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def limits(clock: ManualClock) -> Limits:
    return Limits(LocalStore(EIGHT), clock=clock)


class TestDecision:
    def test_of_a_hit_that_is_allowed(self, limits: Limits) -> None:
        assert limits.hit("ann", 1, 60.0) == COUNTED

    def test_of_a_hit_that_could_not_be_counted(self, clock: ManualClock) -> None:
        store = LocalStore(EIGHT)
        assert store.limits_lock.take() is not None
        found = Limits(store, clock=clock).hit("ann", 1, 60.0)
        assert found == Decision(allowed=True, retry_after=0.0, counted=False)

    @pytest.mark.parametrize("limit", [1, 2, 3, 5])
    @pytest.mark.parametrize("pause", [0.0, 1.0, 6.5, 13.0, 20.0])
    def test_of_a_refused_hit_says_when_it_will_fit_and_not_before(
        self, limits: Limits, clock: ManualClock, limit: int, pause: float
    ) -> None:
        """Whatever was hit when: a moment before the time that was told there is still no room."""
        refusals = 0
        for _ in range(40):
            found = limits.hit("ann", limit, 16.0)
            if found.allowed:
                clock.advance(pause)
                continue
            refusals += 1
            assert 0.0 < found.retry_after <= 32.0
            clock.advance(found.retry_after - 0.001)
            assert not limits.hit("ann", limit, 16.0).allowed
            clock.advance(0.002)
            assert limits.hit("ann", limit, 16.0).allowed
        assert refusals or pause * limit >= 16.0

    def test_of_a_limit_of_none_says_a_whole_window(self, limits: Limits) -> None:
        assert limits.hit("ann", 0, 16.0) == Decision(allowed=False, retry_after=16.0, counted=True)


class TestRoom:
    def full(self, limits: Limits, clock: ManualClock) -> None:
        for number in range(8):
            clock.advance(1.0)
            assert limits.hit(f"key {number}", 1, 100.0).allowed

    def test_is_made_by_the_oldest(self, limits: Limits, clock: ManualClock) -> None:
        self.full(limits, clock)
        assert limits.hit("one more", 1, 100.0).allowed
        assert not limits.hit("key 1", 1, 100.0).allowed
        assert limits.hit("key 0", 1, 100.0).allowed

    def test_comes_without_the_counts_of_who_had_it(self, limits: Limits, clock: ManualClock) -> None:
        for _ in range(3):
            assert limits.hit("key 0", 3, 8.0).allowed
        clock.advance(8.0)
        assert not limits.hit("key 0", 3, 8.0).allowed
        self.full(limits, clock)
        assert [limits.hit("one more", 3, 8.0).allowed for _ in range(3)] == [True, True, True]

    def test_comes_clean_whatever_lies_beside_it(self, limits: Limits, clock: ManualClock) -> None:
        keys = [f"key {number}" for number in range(8)]
        for key in keys:
            for _ in range(3):
                assert limits.hit(key, 3, 8.0).allowed
        clock.advance(8.0)
        for key in keys:
            assert not limits.hit(key, 3, 8.0).allowed
        assert [limits.hit("one more", 3, 8.0).allowed for _ in range(4)] == [True, True, True, False]

    def test_of_a_key_holds_its_counts_apart(self, limits: Limits, clock: ManualClock) -> None:
        for key in ("ann", "bob", "eve"):
            assert [limits.hit(key, 2, 100.0).allowed for _ in range(3)] == [True, True, False]
