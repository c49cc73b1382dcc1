"""Who waits for a place, for how long, who goes first, and when waiting is over before its time."""

import re
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from resilience.primitives.bulkhead import Bulkhead
from resilience.primitives.clock import ManualClock
from resilience.primitives.config import BulkheadConfig
from resilience.primitives.deadline import deadline_scope
from resilience.primitives.errors import BulkheadFullError
from resilience.primitives.waiting import LOOKS_EVERY
from tests.primitives.test_bulkhead import LONG, Caller, Watch


class GoneError(Exception):
    """What a waiting call finds when it looks whether it should go on."""


def gone() -> None:
    raise GoneError


class Asleep:
    """Stands for the event on which a waiter sleeps: the clock moves on instead, and `then` happens."""

    def __init__(self, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept: list[float] = []
        self.then: Callable[[], None] = lambda: None
        sleeper = self

        class Sleeper:
            def __init__(self) -> None:
                self.woken = False

            def set(self) -> None:
                self.woken = True

            def wait(self, seconds: float) -> bool:
                sleeper.slept.append(seconds)
                clock.advance(seconds)
                sleeper.then()
                return self.woken

        monkeypatch.setattr("resilience.primitives.places.Event", Sleeper)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def asleep(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Asleep:
    return Asleep(clock, monkeypatch)


def pool_on(clock: ManualClock, running: int = 1, waiting: int = 9, max_wait: float = 1.0) -> Bulkhead:
    config = BulkheadConfig(running=running, waiting=waiting, max_wait=max_wait)
    return Bulkhead("read", config, clock=clock)


def hold(pool: Bulkhead, clock: ManualClock, seconds: float, times: int = 20) -> None:
    """Hold a place for so long, as often as makes that known."""
    for _ in range(times):
        with pool.enter():
            clock.advance(seconds)


class TestHeldFor:
    def test_is_not_known_before_twenty_calls_have_ended(self, clock: ManualClock) -> None:
        pool = pool_on(clock)
        hold(pool, clock, 0.3, times=19)
        assert pool.held_for == 0.0
        hold(pool, clock, 0.3, times=1)
        assert pool.held_for == pytest.approx(0.3)

    @pytest.mark.parametrize("usual", [0.02, 0.3])
    def test_begins_with_the_shortest_of_them(self, clock: ManualClock, usual: float) -> None:
        """A process needs long for its first calls, whatever its queries take."""
        pool = pool_on(clock)
        hold(pool, clock, 1.5, times=19)
        hold(pool, clock, usual, times=1)
        assert pool.held_for == pytest.approx(usual)

    def test_moves_by_a_twentieth_with_each_further_call(self, clock: ManualClock) -> None:
        pool = pool_on(clock)
        hold(pool, clock, 0.2)
        hold(pool, clock, 1.2, times=1)
        assert pool.held_for == pytest.approx(0.25)

    def test_forgets_a_slow_time_within_a_hundred_calls(self, clock: ManualClock) -> None:
        pool = pool_on(clock)
        hold(pool, clock, 2.0)
        hold(pool, clock, 0.01, times=110)
        assert pool.held_for < 0.03

    def test_counts_a_call_that_failed(self, clock: ManualClock) -> None:
        pool = pool_on(clock)
        hold(pool, clock, 1.0, times=19)

        def fail() -> None:
            clock.advance(0.3)
            raise KeyError

        with pytest.raises(KeyError):
            pool.execute(fail)
        assert pool.held_for == pytest.approx(0.3)

    def test_does_not_count_the_wait(self, clock: ManualClock, asleep: Asleep) -> None:
        pool = pool_on(clock)
        hold(pool, clock, 2.0, times=18)
        with ExitStack() as held:
            held.enter_context(pool.enter())
            asleep.then = held.close
            with pool.enter() as has_waited:
                clock.advance(0.5)
        assert has_waited
        assert pool.held_for == pytest.approx(0.5)


class TestTooLong:
    def test_a_queue_refuses_at_once(self, clock: ManualClock) -> None:
        pool = pool_on(clock)
        hold(pool, clock, 1.5)
        with pool.enter(), pytest.raises(BulkheadFullError) as caught, pool.enter():
            pytest.fail("entered a full bulkhead")
        assert caught.value.reason == "bulkhead full: a wait of 1.500 s with 1.000 s left"
        assert pool.rejected == 1

    def test_is_the_length_of_the_queue_times_the_average_by_the_places(self, clock: ManualClock) -> None:
        watch = Watch()
        pool = Bulkhead(
            "read", BulkheadConfig(running=2, waiting=9, max_wait=LONG), clock=clock, on_change=watch
        )
        hold(pool, clock, 20.0)
        with pool.enter(), pool.enter():
            waiters = []
            for _ in range(3):  # the third waits for (2 + 1) * 20 / 2 s
                waiters.append(Caller(pool.enter))
                watch.until(lambda: pool.waiting == len(waiters))
                waiters[-1].leave_soon()
            with pytest.raises(BulkheadFullError, match=re.escape("a wait of 40.000 s")), pool.enter():
                pytest.fail("entered a full bulkhead")

    def test_leaves_a_call_the_time_that_it_takes(self, clock: ManualClock) -> None:
        pool = pool_on(clock)
        hold(pool, clock, 0.6)
        with pool.enter(), deadline_scope(1.1, clock=clock), pytest.raises(BulkheadFullError) as caught:
            pool.execute(lambda: None)
        assert caught.value.reason.endswith("a wait of 0.600 s with 0.500 s left")

    def test_is_looked_at_again_when_the_place_comes(self, clock: ManualClock, asleep: Asleep) -> None:
        """In the meantime calls have become slower, and what would begin now would only be cut."""
        pool = pool_on(clock)
        hold(pool, clock, 9.0, times=19)
        with ExitStack() as held:
            held.enter_context(pool.enter())

            def come_free() -> None:
                clock.advance(0.5)
                held.close()

            asleep.then = come_free  # after 1.0 + 0.5 s, so that such a call needs 1.5 s
            with deadline_scope(2.0, clock=clock), pytest.raises(BulkheadFullError, match="too late"):
                pool.execute(lambda: None)
        assert (pool.in_use, pool.waiting, pool.rejected) == (0, 0, 1)
        assert pool.held_for == pytest.approx(1.5)

    @pytest.mark.parametrize("ended", [0, 1, 19])
    def test_is_not_known_before_enough_calls_have_ended(
        self, clock: ManualClock, asleep: Asleep, ended: int
    ) -> None:
        """The first cold call of a process turned others away, though they had the time."""
        pool = pool_on(clock)
        hold(pool, clock, 1.5, times=ended)
        with pool.enter(), pytest.raises(BulkheadFullError, match=r"no place within 1\.000 s"):
            pool.execute(lambda: None)
        assert asleep.slept == [1.0]


class TestFirst:
    def test_goes_before_those_who_wait_longer(self) -> None:
        watch = Watch()
        pool = Bulkhead("read", BulkheadConfig(running=1, waiting=2, max_wait=LONG), on_change=watch)
        with pool.enter():
            usual = Caller(pool.enter)
            watch.until(lambda: pool.waiting == 1)
            first = Caller(lambda: pool.enter(first=True))
            watch.until(lambda: pool.waiting == 2)
        assert first.entered.wait(LONG)
        assert not usual.entered.is_set()
        first.leave()
        assert usual.entered.wait(LONG)
        usual.leave()

    def test_takes_the_place_in_the_queue_of_the_last_usual_one(self) -> None:
        watch = Watch()
        pool = Bulkhead("read", BulkheadConfig(running=1, waiting=2, max_wait=LONG), on_change=watch)
        with pool.enter():
            usual = [Caller(pool.enter)]
            watch.until(lambda: pool.waiting == 1)
            usual.append(Caller(pool.enter))
            watch.until(lambda: pool.waiting == 2)
            first = Caller(lambda: pool.enter(first=True))
            usual[1].join(LONG)
            assert isinstance(usual[1].error, BulkheadFullError)
            assert usual[1].error.reason == "bulkhead full: others go first"
        assert first.entered.wait(LONG)
        first.leave()
        assert usual[0].entered.wait(LONG)
        usual[0].leave()
        assert (pool.in_use, pool.waiting, pool.rejected) == (0, 0, 1)

    def test_is_refused_where_only_first_ones_wait(self, clock: ManualClock) -> None:
        pool = pool_on(clock, waiting=1)
        with pool.enter(), pool.queued(), pytest.raises(BulkheadFullError), pool.enter(first=True):
            pytest.fail("entered a full bulkhead")

    def test_does_not_wait_for_the_usual_ones(self, clock: ManualClock) -> None:
        watch = Watch()
        config = BulkheadConfig(running=1, waiting=9, max_wait=LONG)
        pool = Bulkhead("read", config, clock=clock, on_change=watch)
        hold(pool, clock, 20.0)
        with pool.enter():
            usual = Caller(pool.enter)
            watch.until(lambda: pool.waiting == 1)
            with pytest.raises(BulkheadFullError, match=re.escape("a wait of 40.000 s")), pool.enter():
                pytest.fail("waited behind another usual one")
            first = Caller(lambda: pool.enter(first=True))
            watch.until(lambda: pool.waiting == 2)
        assert first.entered.wait(LONG)
        first.leave()
        assert usual.entered.wait(LONG)
        usual.leave()


class TestLook:
    def test_is_not_done_where_nobody_waits(self, clock: ManualClock) -> None:
        with pool_on(clock).enter(look=gone) as has_waited:
            assert not has_waited

    def test_ends_the_wait_with_its_error(self, clock: ManualClock, asleep: Asleep) -> None:
        pool = pool_on(clock)
        with pool.enter():
            with pytest.raises(GoneError), pool.enter(look=gone):
                pytest.fail("entered a full bulkhead")
            assert asleep.slept == [LOOKS_EVERY]
            assert (pool.in_use, pool.waiting, pool.rejected) == (1, 0, 0)

    def test_is_done_until_the_wait_is_over(self, clock: ManualClock, asleep: Asleep) -> None:
        pool, looks = pool_on(clock, max_wait=0.25), []
        with pool.enter(), pytest.raises(BulkheadFullError, match=r"no place within 0\.250 s"):
            pool.enter(look=lambda: looks.append(clock.monotonic())).__enter__()
        assert asleep.slept == pytest.approx([0.1, 0.1, 0.05])
        assert len(looks) >= 3

    def test_is_done_once_more_with_the_place(self, clock: ManualClock, asleep: Asleep) -> None:
        """The place is given back, and is not taken for one that was held for no time at all."""
        pool = pool_on(clock)
        hold(pool, clock, 1.0, times=19)
        with ExitStack() as held:
            held.enter_context(pool.enter())
            asleep.then = held.close
            with pytest.raises(GoneError), pool.enter(look=gone):
                pytest.fail("entered though there was nothing to wait for")
        assert (pool.in_use, pool.waiting) == (0, 0)
        assert pool.held_for == pytest.approx(LOOKS_EVERY)
