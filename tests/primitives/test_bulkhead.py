"""A bulkhead lets so many calls run and so many wait; "full" is both."""

import logging
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

import pytest

from resilience.primitives.bulkhead import Bulkhead
from resilience.primitives.clock import ManualClock
from resilience.primitives.config import BulkheadConfig
from resilience.primitives.deadline import deadline_scope
from resilience.primitives.errors import BulkheadFullError

LONG = 30.0  # Seconds that no test waits for: what happens, happens by an event.


class Caller(threading.Thread):
    """A thread that enters a block, says so, and stays until it is told to leave."""

    def __init__(self, enter: Callable[[], AbstractContextManager[object]]) -> None:
        super().__init__(daemon=True)
        self._enter = enter
        self._leave = threading.Event()
        self.entered = threading.Event()
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            with self._enter():
                self.entered.set()
                self._leave.wait(LONG)
        except BaseException as error:
            self.error = error

    def leave_soon(self) -> None:
        """Leave the block as soon as it is entered."""
        self._leave.set()

    def leave(self) -> None:
        self._leave.set()
        self.join(LONG)


class Watch:
    """Lets a test wait until a bulkhead has changed to what it expects."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.changes = 0

    def __call__(self, _: Bulkhead) -> None:
        with self._condition:
            self.changes += 1
            self._condition.notify_all()

    def until(self, met: Callable[[], bool]) -> None:
        with self._condition:
            assert self._condition.wait_for(met, LONG)


def bulkhead(running: int, waiting: int, watch: Watch | None = None, max_wait: float = LONG) -> Bulkhead:
    config = BulkheadConfig(running=running, waiting=waiting, max_wait=max_wait)
    return Bulkhead("read", config, on_change=watch)


class TestExecute:
    def test_returns_what_the_function_returns(self) -> None:
        def add(left: int, *, right: int) -> int:
            return left + right

        assert bulkhead(1, 0).execute(add, 1, right=2) == 3

    def test_holds_a_place_only_while_the_call_runs(self) -> None:
        pool = bulkhead(1, 0)
        assert pool.execute(lambda: pool.in_use) == 1
        assert pool.in_use == 0

    def test_gives_the_place_back_when_the_call_raises(self) -> None:
        pool = bulkhead(1, 0)

        def fail() -> None:
            raise KeyError

        with pytest.raises(KeyError):
            pool.execute(fail)
        assert pool.in_use == 0
        assert pool.rejected == 0


class TestFull:
    def test_as_many_run_as_may(self) -> None:
        pool = bulkhead(3, 0)
        with pool.enter(), pool.enter(), pool.enter():
            assert pool.in_use == 3

    def test_the_next_one_is_refused_when_none_may_wait(self) -> None:
        pool = bulkhead(2, 0)
        with pool.enter(), pool.enter():
            with pytest.raises(BulkheadFullError) as caught, pool.enter():
                pytest.fail("entered a full bulkhead")
            assert pool.in_use == 2
        assert caught.value.name == "read"
        assert caught.value.retry_after == 1.0
        assert caught.value.reason == "bulkhead full: 2 running and 0 waiting"
        assert pool.rejected == 1

    def test_is_as_many_running_and_as_many_waiting_as_may(self) -> None:
        watch = Watch()
        pool = bulkhead(1, 1, watch)
        with pool.enter():
            waiter = Caller(pool.enter)
            watch.until(lambda: pool.waiting == 1)
            with pytest.raises(BulkheadFullError, match="1 running and 1 waiting"), pool.enter():
                pytest.fail("entered a full bulkhead")
            assert pool.waiting == 1
        assert waiter.entered.wait(LONG)
        waiter.leave()
        assert (pool.in_use, pool.waiting, pool.rejected) == (0, 0, 1)

    def test_a_refusal_takes_no_place(self) -> None:
        pool = bulkhead(1, 0)
        with pool.enter():
            for _ in range(3):
                with pytest.raises(BulkheadFullError), pool.enter():
                    pytest.fail("entered a full bulkhead")
        with pool.enter():
            assert pool.in_use == 1
        assert pool.rejected == 3

    def test_each_refusal_is_an_object_of_its_own(self) -> None:
        pool = bulkhead(1, 0)
        caught: list[BulkheadFullError] = []
        with pool.enter():
            for _ in range(2):
                try:
                    pool.execute(lambda: None)
                except BulkheadFullError as error:
                    caught.append(error)
        assert caught[0] is not caught[1]


class TestWaiting:
    def test_a_waiter_gets_the_place_that_comes_free(self) -> None:
        watch = Watch()
        pool = bulkhead(1, 1, watch)
        with pool.enter():
            waiter = Caller(pool.enter)
            watch.until(lambda: pool.waiting == 1)
            assert not waiter.entered.is_set()
        assert waiter.entered.wait(LONG)
        assert (pool.in_use, pool.waiting) == (1, 0)
        waiter.leave()
        assert pool.in_use == 0

    def test_who_waited_longest_is_first(self) -> None:
        watch = Watch()
        pool = bulkhead(1, 2, watch)
        with pool.enter():
            first = Caller(pool.enter)
            watch.until(lambda: pool.waiting == 1)
            second = Caller(pool.enter)
            watch.until(lambda: pool.waiting == 2)
        assert first.entered.wait(LONG)
        assert not second.entered.is_set()
        first.leave()
        assert second.entered.wait(LONG)
        second.leave()

    def test_nobody_overtakes_a_waiter(self) -> None:
        watch = Watch()
        pool = bulkhead(1, 1, watch)
        with ExitStack() as held:
            held.enter_context(pool.enter())
            waiter = Caller(pool.enter)
            watch.until(lambda: pool.waiting == 1)
            held.close()
            # The place belongs to the waiter from here on, whether or not its thread has run already.
            assert pool.in_use == 1
            assert pool.waiting == 0
        assert waiter.entered.wait(LONG)
        waiter.leave()

    def test_in_vain_ends_after_max_wait(self) -> None:
        pool = bulkhead(1, 1, max_wait=0.001)
        with pool.enter():
            with pytest.raises(BulkheadFullError) as caught, pool.enter():
                pytest.fail("entered a full bulkhead")
            assert (pool.in_use, pool.waiting, pool.rejected) == (1, 0, 1)
        assert caught.value.reason == "bulkhead full: no place within 0.001 s"

    def test_each_one_in_vain_is_counted(self) -> None:
        pool = bulkhead(1, 1, max_wait=0.001)
        with pool.enter():
            for _ in range(2):
                with pytest.raises(BulkheadFullError), pool.enter():
                    pytest.fail("entered a full bulkhead")
        assert pool.rejected == 2

    def test_does_not_outlast_the_deadline(self) -> None:
        pool = bulkhead(1, 1)
        clock = ManualClock()
        with (
            pool.enter(),
            deadline_scope(0.002, clock=clock),
            pytest.raises(BulkheadFullError) as caught,
            pool.enter(),
        ):
            pytest.fail("entered a full bulkhead")
        assert re.search(r"no place within 0\.002 s", caught.value.reason)

    def test_with_a_spent_deadline_is_over_at_once(self) -> None:
        pool = bulkhead(1, 1)
        clock = ManualClock()
        with (
            pool.enter(),
            deadline_scope(0.0, clock=clock),
            pytest.raises(BulkheadFullError) as caught,
            pool.enter(),
        ):
            pytest.fail("entered a full bulkhead")
        assert re.search(r"no place within 0\.000 s", caught.value.reason)

    def test_a_longer_deadline_does_not_lengthen_it(self) -> None:
        pool = bulkhead(1, 1, max_wait=0.001)
        with pool.enter(), deadline_scope(LONG), pytest.raises(BulkheadFullError) as caught, pool.enter():
            pytest.fail("entered a full bulkhead")
        assert re.search(r"no place within 0\.001 s", caught.value.reason)


class _Waker(threading.Event):
    """Stands for the event a waiter sleeps on; what happens while it sleeps is told by `then`."""

    then: Callable[[], bool]

    def wait(self, timeout: float | None = None) -> bool:
        return type(self).then()


class TestEndOfWaiting:
    """What can happen between the end of a wait and the lock, told step by step."""

    @pytest.fixture
    def waker(self, monkeypatch: pytest.MonkeyPatch) -> type[_Waker]:
        monkeypatch.setattr("resilience.primitives.places.Event", _Waker)
        return _Waker

    def test_a_place_given_just_after_the_time_was_up_is_taken(self, waker: type[_Waker]) -> None:
        pool = bulkhead(1, 1)
        with ExitStack() as held:
            held.enter_context(pool.enter())

            def up() -> bool:
                held.close()  # The place comes free...
                return False  # ...and yet the time was up.

            waker.then = up
            with pool.enter():
                assert (pool.in_use, pool.waiting) == (1, 0)
        assert (pool.in_use, pool.rejected) == (0, 0)

    def test_an_interrupt_leaves_the_queue(self, waker: type[_Waker]) -> None:
        pool = bulkhead(1, 1)

        def interrupt() -> bool:
            raise KeyboardInterrupt

        waker.then = interrupt
        with pool.enter():
            with pytest.raises(KeyboardInterrupt), pool.enter():
                pytest.fail("entered in spite of the interrupt")
            assert (pool.in_use, pool.waiting) == (1, 0)
        assert pool.in_use == 0

    def test_an_interrupt_gives_back_a_place_given_just_before(self, waker: type[_Waker]) -> None:
        pool = bulkhead(1, 1)
        with ExitStack() as held:
            held.enter_context(pool.enter())

            def interrupt() -> bool:
                held.close()
                raise KeyboardInterrupt

            waker.then = interrupt
            with pytest.raises(KeyboardInterrupt), pool.enter():
                pytest.fail("entered in spite of the interrupt")
        assert (pool.in_use, pool.waiting) == (0, 0)


class TestQueued:
    """A thread that waits for another's result holds a thread as surely as a waiting call."""

    def test_counts_as_waiting(self) -> None:
        pool = bulkhead(1, 1)
        with pool.queued():
            assert (pool.in_use, pool.waiting) == (0, 1)
        assert pool.waiting == 0

    def test_fills_the_bulkhead_with_the_running(self) -> None:
        pool = bulkhead(1, 1)
        with pool.queued(), pool.enter():
            with pytest.raises(BulkheadFullError, match="1 running and 1 waiting"), pool.queued():
                pytest.fail("queued in a full bulkhead")
            with pytest.raises(BulkheadFullError), pool.enter():
                pytest.fail("entered a full bulkhead")
            assert (pool.in_use, pool.waiting) == (1, 1)
        assert (pool.in_use, pool.waiting, pool.rejected) == (0, 0, 2)

    def test_never_fills_more_threads_than_run_and_wait(self) -> None:
        pool = bulkhead(1, 1)
        with pool.queued(), pytest.raises(BulkheadFullError), pool.queued():
            pytest.fail("queued where as many wait as may")

    def test_leaves_the_places_to_those_who_run(self) -> None:
        pool = bulkhead(1, 1)
        with pool.queued(), pool.enter():
            assert (pool.in_use, pool.waiting) == (1, 1)

    def test_ends_when_the_block_raises(self) -> None:
        pool = bulkhead(1, 1)
        with pytest.raises(KeyError), pool.queued():
            raise KeyError
        assert pool.waiting == 0


class TestListener:
    def test_hears_every_change(self) -> None:
        heard: list[tuple[int, int, int]] = []

        def listen(pool: Bulkhead) -> None:
            heard.append((pool.in_use, pool.waiting, pool.rejected))

        pool = Bulkhead("read", BulkheadConfig(running=1, waiting=1, max_wait=0.001), on_change=listen)
        with pool.enter(), pytest.raises(BulkheadFullError), pool.enter():
            pytest.fail("entered a full bulkhead")
        with pool.queued():
            pass
        assert heard == [(1, 0, 0), (1, 1, 0), (1, 0, 1), (0, 0, 1), (0, 1, 1), (0, 0, 1)]

    def test_hears_of_a_place_handed_over(self) -> None:
        watch = Watch()
        pool = bulkhead(1, 1, watch)
        with pool.enter():
            waiter = Caller(pool.enter)
            watch.until(lambda: pool.waiting == 1)
            before = watch.changes
        assert waiter.entered.wait(LONG)
        assert watch.changes > before
        waiter.leave()

    def test_that_raises_is_logged_and_harms_nobody(self, caplog: pytest.LogCaptureFixture) -> None:
        def listen(_: Bulkhead) -> None:
            raise RuntimeError("no room")

        pool = Bulkhead("read", BulkheadConfig(running=1), on_change=listen)
        with caplog.at_level(logging.ERROR):
            assert pool.execute(lambda: 1) == 1
        assert pool.in_use == 0
        assert caplog.messages == ["a listener of bulkhead read failed"] * 2
