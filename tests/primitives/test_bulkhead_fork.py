"""A forked child of a process that holds places of a bulkhead."""

import os
from collections.abc import Callable
from contextlib import ExitStack

from resilience.primitives.bulkhead import _renew_after_fork
from tests.primitives.test_bulkhead import bulkhead


class TestFork:
    @staticmethod
    def in_child(check: Callable[[], bool]) -> bool:
        """Run `check` in a forked child; its answer is the child's exit code."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if check() else 1
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_a_child_holds_no_place_of_its_parent(self) -> None:
        pool = bulkhead(1, 0)
        with pool.enter():
            assert self.in_child(lambda: pool.in_use == 0 and pool.execute(lambda: True))
            assert pool.in_use == 1

    def test_a_block_entered_before_the_fork_leaves_the_child_alone(self) -> None:
        pool = bulkhead(1, 1)

        def check() -> bool:
            held.close()
            return (pool.in_use, pool.waiting) == (0, 0)

        with ExitStack() as held:
            held.enter_context(pool.enter())
            held.enter_context(pool.queued())
            assert self.in_child(check)
            assert (pool.in_use, pool.waiting) == (1, 1)

    def test_its_hook_leaves_every_bulkhead_as_if_new(self) -> None:
        pools = [bulkhead(1, 0), bulkhead(1, 1)]
        with pools[0].enter(), pools[1].queued():
            _renew_after_fork()
            assert [pool.in_use + pool.waiting for pool in pools] == [0, 0]
            assert pools[0].execute(lambda: 1) == 1
        assert [pool.in_use + pool.waiting for pool in pools] == [0, 0]

    def test_a_child_does_not_wait_for_a_lock_that_nobody_holds_any_more(self) -> None:
        pool = bulkhead(1, 0)
        with pool._threads.lock:
            assert self.in_child(lambda: pool.execute(lambda: True))
