"""One thread of a process is kept free of calls, however many threads there are."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier, Thread

import pytest

from resilience.primitives.bulkhead import Bulkhead
from resilience.primitives.config import BulkheadConfig
from resilience.primitives.errors import BulkheadFullError
from resilience.primitives.threads import Threads
from tests.primitives.test_bulkhead import LONG, Caller, Watch


def bulkhead(threads: Threads, running: int = 9, waiting: int = 9, watch: Watch | None = None) -> Bulkhead:
    config = BulkheadConfig(running=running, waiting=waiting, max_wait=LONG)
    return Bulkhead("read", config, threads=threads, on_change=watch)


def in_threads(number: int, work: Callable[[], object]) -> None:
    """Call `work` in as many threads, all of which live until each has called it."""
    barrier = Barrier(number)

    def run() -> None:
        work()
        barrier.wait(LONG)

    workers = [Thread(target=run) for _ in range(number)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(LONG)


class Held:
    """Calls in threads of their own, until the block ends."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def run(self, pool: Bulkhead) -> None:
        caller = Caller(pool.enter)
        self._stack.callback(caller.leave)
        assert caller.entered.wait(LONG)

    def refused(self, pool: Bulkhead) -> str:
        caller = Caller(pool.enter)
        caller.join(LONG)
        assert isinstance(caller.error, BulkheadFullError)
        return caller.error.reason


class TestKnown:
    def test_threads_less_one_run_and_wait(self) -> None:
        watch = Watch()
        threads = Threads(4)
        pools = [bulkhead(threads, running=2, watch=watch), bulkhead(threads, running=1, watch=watch)]
        with ExitStack() as stack:
            held = Held(stack)
            held.run(pools[0])
            held.run(pools[1])
            waiter = Caller(pools[1].enter)
            watch.until(lambda: pools[1].waiting == 1)
            assert held.refused(pools[1]) == "bulkhead full: 3 threads are taken, and one is kept free"
            # A place is free there, but no thread.
            assert held.refused(pools[0]) == "bulkhead full: 3 threads are taken, and one is kept free"
        assert waiter.entered.wait(LONG)
        waiter.leave()
        assert threads.taken == 0

    @pytest.mark.parametrize("number", [1, 2])
    def test_one_may_always_run(self, number: int) -> None:
        pool = bulkhead(Threads(number))
        with ExitStack() as stack:
            Held(stack).run(pool)
            Held(stack).refused(pool)

    def test_a_call_within_a_call_takes_no_further_thread(self) -> None:
        threads = Threads(2)
        outer, inner = bulkhead(threads), bulkhead(threads)
        with outer.enter(), inner.enter(), inner.queued():
            assert threads.taken == 1
        assert threads.taken == 0


class TestLearnt:
    def test_are_as_many_as_were_seen_at_once(self) -> None:
        threads = Threads()
        for number in (1, 3, 2):
            in_threads(number, threads.serves)
        pool = bulkhead(threads, running=1)
        with pool.enter(), ExitStack() as stack:
            stack.enter_context(self.queued_elsewhere(pool))
            assert Held(stack).refused(pool).startswith("bulkhead full: 2 threads are taken")

    def test_refuse_nobody_a_free_place(self) -> None:
        """There may be more threads than were busy at once so far."""
        threads = Threads()
        in_threads(2, threads.serves)
        pool = bulkhead(threads, running=3)
        with ExitStack() as stack:
            for _ in range(3):
                Held(stack).run(pool)
            assert threads.taken == 3

    def test_of_which_there_is_one_wait_for_nothing_and_are_never_refused(self) -> None:
        threads = Threads()
        for _ in range(2):
            threads.serves()
        pool = bulkhead(threads, running=1)
        for _ in range(3):
            with pool.enter():
                pass
        assert pool.rejected == 0
        with pytest.raises(BulkheadFullError), pool.queued():
            pytest.fail("waited in the only thread")

    def test_of_an_executor_are_as_many_as_it_may_start(self) -> None:
        """gunicorn serves from one. A change of Python's that hides the number shows here."""
        threads = Threads()
        with ThreadPoolExecutor(3) as executor:
            executor.submit(threads.serves).result()
        pool = bulkhead(threads)
        with ExitStack() as stack:
            for _ in range(2):
                Held(stack).run(pool)
            Held(stack).refused(pool)

    def test_are_not_asked_for_as_long_as_none_serves(self) -> None:
        threads = Threads()
        pool = bulkhead(threads, running=1)
        with pool.enter(), pool.queued(), pool.queued():
            assert pool.waiting == 2

    def test_are_without_limit_where_each_request_has_its_own(self) -> None:
        threads = Threads(2)
        threads.are_unlimited()
        pool = bulkhead(threads)
        with ExitStack() as stack:
            for _ in range(3):
                Held(stack).run(pool)

    @staticmethod
    def queued_elsewhere(pool: Bulkhead) -> ExitStack:
        """Have another thread wait for a result until the stack is closed."""
        stack, waiter = ExitStack(), Caller(pool.queued)
        assert waiter.entered.wait(LONG)
        stack.callback(waiter.leave)
        return stack


class TestFork:
    def test_a_child_has_seen_no_thread_and_none_is_taken(self) -> None:
        threads = Threads()
        threads.serves()
        pool = bulkhead(threads, running=1)
        with pool.enter(), threads.lock:
            child = os.fork()
            if child == 0:
                ok = threads.taken == 0 and threads.may_wait_locked() and not threads.lock.locked()
                os._exit(0 if ok else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert threads.taken == 0
