"""Counts: none is lost between threads, none is hidden from other processes, none goes back."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resilience.primitives import CircuitBreaker, HostStore, Outcome, State
from resilience.primitives.store.row import BUCKETS, ROW_WORDS, RUN, TROUBLE

from .conftest import SMALL, Bench

Another = Callable[[], Bench]


@pytest.fixture
def another(host_store: HostStore) -> Iterator[Another]:
    """Another process of the same host, with the same clock."""
    opened: list[HostStore] = []
    first = Bench(host_store)

    def one() -> Bench:
        if not opened:
            bench = first
            opened.append(host_store)
        else:
            opened.append(
                HostStore(host_store.path.parent, "test", role="server", create=False, layout=SMALL)
            )
            bench = Bench(opened[-1])
            bench.clock = bench.dependency.clock = first.clock
        return bench

    yield one
    for store in opened:
        store.close()


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads that are switched as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work: Callable[[], None], count: int = 8) -> None:
    barrier = threading.Barrier(count)

    def begin() -> None:
        barrier.wait()
        work()

    threads = [threading.Thread(target=begin) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.usefixtures("hurried")
class TestThreads:
    CALLS = 2_000

    def test_lose_no_success(self, bench: Bench) -> None:
        breaker = bench.breaker()

        def work() -> None:
            for _ in range(self.CALLS):
                breaker.call(int)

        in_threads(work)
        # What the last thread stored may be less than what was counted, until the next tick.
        bench.clock.advance(1.1)
        breaker.call(int)
        assert breaker.snapshot().successes == 8 * self.CALLS + 1

    def test_lose_no_failure_and_no_slow_call(self, bench: Bench) -> None:
        breaker = bench.breaker(failure_threshold=10**6)

        def work() -> None:
            admission = breaker.admit()
            for _ in range(self.CALLS // 4):
                breaker.settle(admission, Outcome.FAILURE, operation="query")
                breaker.settle(admission, Outcome.SLOW, operation="query")

        in_threads(work)
        found = breaker.snapshot()
        assert found.failures == found.slow == 8 * self.CALLS // 4

    def test_lose_no_count_of_operations_and_no_refusal(self, host_store: HostStore) -> None:
        breaker = Bench(host_store).breaker()
        admission = breaker.admit()
        # The name must be there: who cannot have the lock for a new one counts again only from the next tick.
        breaker.settle(admission, Outcome.ANSWERED, operation="query")

        def work() -> None:
            for _ in range(self.CALLS // 4):
                breaker.settle(admission, Outcome.ANSWERED, operation="query")

        in_threads(work)
        assert breaker.calls()["query", "answered"] == 8 * self.CALLS // 4 + 1

    def test_open_it_once(self, bench: Bench) -> None:
        breaker = bench.breaker()
        admission = breaker.admit()
        in_threads(lambda: breaker.settle(admission, Outcome.FAILURE))
        assert breaker.shown() is State.OPEN
        assert [heard.after for heard in bench.heard] == [State.OPEN]


class TestProcesses:
    def test_open_after_as_many_failures_in_total(self, another: Another) -> None:
        benches = [another() for _ in range(3)]
        breakers = [bench.breaker() for bench in benches]
        for bench, breaker in zip(benches, breakers, strict=True):
            assert breaker.shown() is State.CLOSED
            bench.fails(breaker)
        assert {breaker.shown() for breaker in breakers} == {State.OPEN}
        assert sum(len(bench.heard) for bench in benches) == 1

    def test_that_fail_at_the_same_time_count_together(self, another: Another) -> None:
        """The second one fails as the first one has looked at it, and has not yet told its own run."""
        one, two = another(), another()
        first, second = one.breaker(), two.breaker()
        one.fails(first)
        second.admit()
        window, other = first._host.window, second._host.window
        assert window is not None
        assert other is not None
        looked_at = other._row + TROUBLE

        class Watched:
            def __init__(self, words: "memoryview[int]") -> None:
                self._words = words
                self._met = False

            def __getitem__(self, at: int) -> int:
                found = self._words[at]
                if at == looked_at and not self._met:
                    self._met = True
                    two.fails(second)
                return found

            def __setitem__(self, at: int, value: int) -> None:
                self._words[at] = value

        window._words = Watched(window._words)  # type: ignore[assignment]
        one.fails(first)
        assert {first.shown(), second.shown()} == {State.OPEN}

    def test_break_each_others_runs(self, another: Another) -> None:
        one, two = another(), another()
        failing, well = one.breaker(minimum_volume=100), two.breaker(minimum_volume=100)
        for _ in range(5):
            one.fails(failing, 2)
            well.call(two.dependency)
        assert failing.shown() is State.CLOSED
        one.fails(failing, 3)
        assert failing.shown() is State.OPEN

    def test_do_not_add_up_runs_that_another_broke(self, another: Another) -> None:
        one, two, three = another(), another(), another()
        breakers = [bench.breaker(minimum_volume=100) for bench in (one, two, three)]
        one.fails(breakers[0], 2)
        breakers[2].call(three.dependency)
        two.fails(breakers[1], 2)
        assert breakers[1].shown() is State.CLOSED
        two.fails(breakers[1])
        assert breakers[1].shown() is State.OPEN

    def test_see_what_an_idle_one_has_not_carried_over(self, another: Another) -> None:
        one, two = another(), another()
        busy, idle = one.breaker(), two.breaker()
        for _ in range(7):
            idle.call(two.dependency)
        assert busy.snapshot().successes == 7
        one.clock.advance(26)
        assert busy.snapshot().successes == 7
        one.clock.advance(10)
        assert busy.snapshot().successes == 0

    def test_keep_the_counts_of_a_dead_one_for_as_long_as_the_window(self, another: Another) -> None:
        one, two = another(), another()
        living, dead = one.breaker(), two.breaker()
        two.fails(dead, 2)
        dead.call(two.dependency)
        assert two.store is not None
        two.store.close()
        assert (living.snapshot().failures, living.snapshot().successes) == (2, 1)
        one.clock.advance(31)
        assert living.snapshot().calls == 0

    def test_go_on_where_the_last_owner_of_the_slot_ended(self, another: Another) -> None:
        one, two = another(), another()
        living, dead = one.breaker(), two.breaker()
        for _ in range(3):
            dead.call(two.dependency)
        two.fails(dead, 2)
        assert two.store is not None
        slot = two.store.slot()
        two.store.close()
        heir = another()
        inherited = heir.breaker()
        inherited.call(heir.dependency)
        assert heir.store is not None
        assert heir.store.slot() == slot
        assert (living.snapshot().successes, living.snapshot().failures) == (4, 2)
        assert living.calls()["call", "success"] == 4

    def test_that_are_configured_otherwise_count_apart(self, another: Another) -> None:
        one, two = another(), another()
        old, new = one.breaker(window=30.0), two.breaker(window=60.0)
        one.fails(old, 2)
        two.fails(new, 2)
        assert (old.snapshot().failures, new.snapshot().failures) == (2, 2)
        one.fails(old)
        assert new.shown() is State.OPEN

    def test_beyond_the_last_slot_count_alone(
        self, another: Another, caplog: pytest.LogCaptureFixture
    ) -> None:
        benches = [another() for _ in range(SMALL.slots + 1)]
        breakers = [bench.breaker() for bench in benches]
        for bench, breaker in zip(benches, breakers, strict=True):
            breaker.call(bench.dependency)
        alone, bench = breakers[-1], benches[-1]
        found = alone.snapshot()
        assert (found.shared, found.successes) == (False, 1)
        assert breakers[0].snapshot().successes == SMALL.slots
        bench.fails(alone, 3)
        assert alone.shown() is State.OPEN
        assert breakers[0].shown() is State.CLOSED
        assert caplog.text.count("slots of") == 1

    def test_come_back_once_a_slot_is_free(self, another: Another) -> None:
        benches = [another() for _ in range(SMALL.slots + 1)]
        breakers = [bench.breaker() for bench in benches]
        for bench, breaker in zip(benches, breakers, strict=True):
            breaker.call(bench.dependency)
        assert benches[0].store is not None
        benches[0].store.close()
        benches[0].clock.advance(1.1)
        breakers[-1].call(benches[-1].dependency)
        breakers[-1].call(benches[-1].dependency)
        assert breakers[-1].snapshot().shared

    def test_of_which_one_changes_its_role_begin_and_cease_to_count(self, another: Another) -> None:
        bench = another()
        breaker = bench.breaker()
        breaker.call(bench.dependency)
        admission = breaker.admit()
        assert bench.store is not None
        bench.store.role = "command"
        bench.fails(breaker, 5)
        breaker.settle(admission, Outcome.FAILURE)
        assert not breaker.refuses()
        bench.store.role = "server"
        bench.fails(breaker)
        found = breaker.snapshot()
        assert (found.successes, found.failures) == (1, 1)


class TestBreakersBeyondTheRoom:
    def test_live_in_their_process(self, host_store: HostStore, caplog: pytest.LogCaptureFixture) -> None:
        breakers = [CircuitBreaker(name=str(n), store=host_store) for n in range(SMALL.breakers + 1)]
        for breaker in breakers:
            assert breaker.call(int) == 0
            assert breaker.call(int) == 0
        assert [breaker.snapshot().shared for breaker in breakers] == [True] * SMALL.breakers + [False]
        assert breakers[-1].snapshot().successes == 2
        assert caplog.text.count("has no place in the store") == 1


class TestForks:
    def child(self, work: Callable[[], object]) -> None:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                work()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0

    def test_a_child_counts_in_a_slot_of_its_own(self, host_store: HostStore) -> None:
        bench = Bench(host_store)
        breaker = bench.breaker()
        breaker.call(bench.dependency)

        def work() -> None:
            breaker.call(bench.dependency)
            bench.fails(breaker, 3)
            assert host_store.slot() == 1
            assert breaker.shown() is State.OPEN

        self.child(work)
        assert breaker.shown() is State.OPEN
        breaker.reset()
        breaker.call(bench.dependency)
        assert breaker.calls()["call", "success"] == 3

    def test_a_child_does_not_hang_on_locks_that_others_held(self, bench: Bench) -> None:
        breaker = bench.breaker()
        breaker.call(bench.dependency)
        cell = breaker._host
        window = cell.window
        assert window is not None

        def work() -> None:
            breaker.call(bench.dependency)
            bench.fails(breaker, 3)
            assert breaker.shown() is State.OPEN
            bench.clock.advance(15)
            breaker.call(bench.dependency)
            assert breaker.shown() is State.CLOSED

        # Of the host's lock only the part between threads: the file's is its parent's to give back.
        between_threads = getattr(cell.store.lock, "_threads", cell.store.lock)
        with cell._lock, window._lock:
            assert between_threads.take() is not None
            self.child(work)
            between_threads.release()

    def test_a_call_under_way_is_counted_by_parent_and_child(self, host_store: HostStore) -> None:
        bench = Bench(host_store)
        breaker = bench.breaker()
        breaker.call(bench.dependency)
        admission = breaker.admit()
        self.child(lambda: breaker.settle(admission, Outcome.SUCCESS))
        breaker.settle(admission, Outcome.SUCCESS)
        assert breaker.snapshot().successes == 3


class TestRows:
    def test_hold_at_most_so_many_failures_each_and_go_no_further(self, host_store: HostStore) -> None:
        bench = Bench(host_store)
        breaker = bench.breaker(failure_threshold=10**9)
        breaker.call(bench.dependency)
        window = breaker._host.window
        assert window is not None
        at = window._bucket + 1
        host_store.words[at] |= 0xFFFF_FFFF
        before = host_store.words[at]
        breaker.settle(breaker.admit(), Outcome.FAILURE)
        breaker.settle(breaker.admit(), Outcome.SLOW)
        assert host_store.words[at] == before
        assert breaker.snapshot().failures == 0xFFFF

    def test_that_two_threads_begin_at_once_keep_what_was_counted_in_between(self, bench: Bench) -> None:
        breaker = bench.breaker()
        breaker.call(bench.dependency)
        window = breaker._host.window
        assert window is not None
        window.begin(window.tag, bench.clock.monotonic())
        window.begin(window.tag - 1, bench.clock.monotonic())
        assert breaker.snapshot().successes == 1

    def test_are_as_long_as_their_parts(self) -> None:
        assert BUCKETS + 2 * 10 == ROW_WORDS
        assert RUN < BUCKETS

    def test_a_store_that_is_full_at_the_moment_of_a_probe_gives_permits_to_nobody(self) -> None:
        """A permit of nobody lapses by time alone."""
        bench = Bench(None)
        breaker = bench.due(permit_timeout=2.0)
        assert breaker.admit().permit


def test_the_folder_of_a_test_holds_nothing_else(host_store: HostStore, tmp_path: Path) -> None:
    assert [path.name for path in tmp_path.iterdir()] == ["resilience"]
