"""A slot for each process: alive as long as its owner, counted on by the next."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from resilience.primitives import HostStore, LocalStore
from resilience.primitives.store import store as store_module
from resilience.primitives.store.slots import SlotLocks
from tests.primitives.conftest import SMALL

from .conftest import Another


@pytest.fixture
def store(another: Another) -> HostStore:
    return another()


def in_child(work: Callable[[], object]) -> None:
    """Do `work` in a forked child, which must come to its end."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def stopped_child(work: Callable[[], object]) -> int:
    """Do `work` in a forked child, which then waits to be killed; return its process id."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os.write(tell, b"x")
            signal.pause()
        finally:
            os._exit(1)
    assert os.read(ready, 1) == b"x"
    os.close(ready)
    os.close(tell)
    return pid


class TestSlots:
    def test_each_process_has_one_of_its_own_and_keeps_it(self, another: Another) -> None:
        stores = [another() for _ in range(4)]
        assert [store.slot() for store in stores] == [0, 1, 2, 3]
        assert [store.slot() for store in stores] == [0, 1, 2, 3]
        assert stores[0].used_slots == 4

    def test_live_as_long_as_their_process(self, another: Another) -> None:
        one, two = another(), another()
        me = two.me()
        assert me is not None
        assert one.alive(me)
        assert two.alive(me)
        two.close()
        assert not one.alive(me)

    def test_of_the_dead_do_not_bring_them_back_when_others_take_them(self, another: Another) -> None:
        one, two = another(), another()
        before = two.me()
        assert before is not None
        two.close()
        three = another()
        assert three.slot() == before % SMALL.slots
        assert three.me() != before
        assert not one.alive(before)
        assert not three.alive(before)

    def test_of_the_dead_are_used_again_the_longest_unused_first(self, another: Another) -> None:
        stores = [another() for _ in range(3)]
        for store in stores:
            store.slot()
        stores[1].close()
        stores[0].close()
        assert [another().slot() for _ in range(3)] == [0, 1, 3]

    def test_run_out(self, another: Another, caplog: pytest.LogCaptureFixture) -> None:
        stores = [another() for _ in range(SMALL.slots + 1)]
        slots = [store.slot() for store in stores]
        assert slots == [*range(SMALL.slots), None]
        assert stores[-1].slot() is None
        assert caplog.text.count(f"all {SMALL.slots} slots") == 1

    def test_are_claimed_even_while_the_lock_is_busy(
        self, another: Another, caplog: pytest.LogCaptureFixture
    ) -> None:
        holder = another()
        assert holder.lock.take() is not None
        stores = [another() for _ in range(SMALL.slots + 1)]
        assert [store.slot() for store in stores] == [*range(SMALL.slots), None]

    def test_taken_at_the_same_time_are_all_summed_within_a_second(self, another: Another) -> None:
        one, two = another(), another()
        one.slot()
        two.slot()
        one.words[11] = 1  # As if the one with the lower number had written last.
        two.refresh()
        assert one.used_slots == 2

    def test_know_who_took_them_and_when(self, store: HostStore) -> None:
        slot = store.slot()
        assert slot is not None
        at = store.layout.slot_info.of(slot)
        assert store.times[at] > 0
        assert store.words[at + 1] == os.getpid()


class TestThreads:
    def test_count_while_another_one_looks_for_the_file(
        self, store: HostStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A hundred would else stand in line, since the look lets the others run."""
        store.counters.add("calls", "a")
        looks, go_on = Event(), Event()
        is_current = store._is_current

        def slow() -> bool:
            looks.set()
            assert go_on.wait(30)
            return is_current()

        monkeypatch.setattr(store, "_is_current", slow)
        looking = Thread(target=store.refresh)
        looking.start()
        assert looks.wait(30)
        counting = Thread(target=store.counters.add, args=("calls", "a"), daemon=True)
        counting.start()
        counting.join(10)
        waits = counting.is_alive()
        go_on.set()
        looking.join(30)
        assert not waits


class TestForkedChildren:
    def test_leave_the_slot_to_their_parent_and_take_their_own(self, store: HostStore) -> None:
        assert store.slot() == 0

        def child() -> None:
            assert store.slot() == 1
            assert store.occupied(0)

        in_child(child)
        assert store.slot() == 0
        assert not store.occupied(1)

    def test_do_not_keep_a_dead_parents_slot_alive(self, another: Another) -> None:
        watcher, shared = another(), another()

        def parent() -> None:
            assert shared.slot() == 0
            grandchild = os.fork()
            if grandchild == 0:
                assert shared.slot() == 1
                signal.pause()
            pids.append(grandchild)
            os.write(tell, f"{grandchild}\n".encode())

        pids: list[int] = []
        read, tell = os.pipe()
        pid = stopped_child(parent)
        grandchild = int(os.read(read, 100))
        try:
            assert watcher.occupied(0)
            patience = time.monotonic() + 30
            while not watcher.occupied(1) and time.monotonic() < patience:
                os.sched_yield()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            assert not watcher.occupied(0)
        finally:
            os.kill(grandchild, signal.SIGKILL)
            os.close(read)
            os.close(tell)

    def test_that_are_killed_free_their_slot_and_stopped_ones_keep_it(self, store: HostStore) -> None:
        pid = stopped_child(store.slot)
        assert store.occupied(0)
        os.kill(pid, signal.SIGSTOP)
        assert store.occupied(0)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert not store.occupied(0)

    def test_do_not_share_the_parents_lock(self, store: HostStore) -> None:
        assert store.lock.take() is not None
        in_child(lambda: _assert(store.lock.take(0) is None))
        store.lock.release()
        in_child(lambda: _assert(store.lock.take(0) is not None))
        assert store.lock.take(0) is not None

    def test_of_a_store_that_was_deleted_count_alone_until_it_is_built_anew(self, store: HostStore) -> None:
        store.path.unlink()

        def child() -> None:
            assert store.slot() is None
            store.refresh()
            assert store.slot() == 0

        in_child(child)


def _assert(truth: bool) -> None:
    assert truth


class TestSlotLocks:
    def test_of_another_file_are_not_to_be_had_and_nobody_is_taken_for_dead(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_text("")
        for locks in (SlotLocks(file, file.stat().st_ino + 1), SlotLocks(tmp_path / "gone", 1)):
            assert not locks.claim(0)
            assert locks.taken(0)
            locks.close()

    def test_may_be_closed_twice(self, store: HostStore) -> None:
        store.slot()
        store.close()
        store.close()


class TestAfterAFork:
    """As in a child, but where it can be watched."""

    def test_all_is_made_anew(self, store: HostStore) -> None:
        store.slot()
        before = store.me()
        store.counters.add("responses", "live")
        store.pools.put("read", in_use=1, waiting=0, limit=1, rejected=0)
        assert store.lock.take() is not None
        with store.counters._lock:
            store_module._after_fork_in_child()
            assert store.counters.add("responses", "live")
        assert store.lock.take(0) is not None
        store.lock.release()
        assert store.me() != before

    def test_a_store_of_the_process_too(self) -> None:
        store = LocalStore(SMALL)
        assert store.lock.take() is not None
        assert store.limits_lock.take() is not None
        store_module._after_fork_in_child()
        assert store.lock.take(0) is not None
        assert store.limits_lock.take(0) is not None
        assert (store.me(), store.alive(0), store.alive(1), store.occupied(1)) == (0, True, False, False)
        store.refresh()
        store.close()
