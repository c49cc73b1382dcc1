"""Lease, faults, last errors, counters, pools: small typed values of the whole host."""

import os

import pytest

from resilience.primitives import CircuitBreaker, HostStore
from resilience.primitives.store import Fault, Gauge, TableLock
from resilience.primitives.store.layout import NAME_WORDS
from tests.primitives.conftest import SMALL

from .conftest import Another


@pytest.fixture
def one(another: Another) -> HostStore:
    return another()


@pytest.fixture
def two(another: Another) -> HostStore:
    return another()


@pytest.fixture
def busy(another: Another) -> HostStore:
    """A process that holds the lock."""
    store = another()
    assert store.lock.take() is not None
    return store


class TestLease:
    def test_is_held_by_one_at_a_time(self, one: HostStore, two: HostStore) -> None:
        assert one.lease.holder(100.0) is None
        assert one.lease.take(100.0) == 1
        assert two.lease.take(101.0) is None
        holder = two.lease.holder(101.0)
        assert holder is not None
        assert (holder.epoch, holder.process, holder.renewed) == (1, one.me(), 100.0)

    def test_is_renewed_in_the_same_epoch(self, one: HostStore, two: HostStore) -> None:
        assert [one.lease.take(now) for now in (100.0, 101.9, 103.8)] == [1, 1, 1]
        assert two.lease.take(105.7) is None

    def test_is_void_two_seconds_after_it_was_renewed(self, one: HostStore, two: HostStore) -> None:
        one.lease.take(100.0)
        assert two.lease.take(101.99) is None
        assert two.lease.take(102.0) == 2
        assert one.lease.take(102.1) is None

    def test_is_void_at_once_when_its_holder_is_dead(self, one: HostStore, two: HostStore) -> None:
        one.lease.take(100.0)
        one.close()
        assert two.lease.holder(100.1) is None
        assert two.lease.take(100.1) == 2

    def test_may_be_given_up_in_its_own_epoch_only(self, one: HostStore, two: HostStore) -> None:
        one.lease.take(100.0)
        two.lease.release(7)
        assert two.lease.take(100.1) is None
        one.lease.release(1)
        assert two.lease.take(100.1) == 2
        one.lease.release(1)
        assert two.lease.holder(100.2) is not None

    def test_is_not_had_while_the_lock_is_busy_or_without_a_slot(
        self, one: HostStore, busy: HostStore, another: Another, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert one.lease.take(100.0) is None
        busy.lock.release()
        others = [another() for _ in range(SMALL.slots)]
        for store in others:
            store.slot()
        assert others[-1].lease.take(100.0) is None


class TestFaults:
    def test_are_seen_by_all_and_end_by_themselves(self, one: HostStore, two: HostStore) -> None:
        fault = Fault(kind="latency", until=110.0, share=0.5, seconds=5.0, who="ada")
        assert one.faults.get("database", 100.0) is None
        assert one.faults.active(100.0) == {}
        assert one.faults.put("database", fault, 100.0)
        assert two.faults.get("database", 109.9) == fault
        assert two.faults.active(109.9) == {"database": fault}
        assert two.faults.get("database", 110.0) is None
        assert two.faults.active(110.0) == {}

    def test_say_how_long_they_are_meant_to_go_on(self) -> None:
        assert Fault(kind="error", until=110.0).left(100.0) == 10.0
        assert Fault(kind="error", until=105.0, ends=160.0).left(100.0) == 60.0
        assert Fault(kind="error", until=105.0, ends=102.0).left(103.0) == 0.0

    def test_are_ended_one_by_one_or_all(self, one: HostStore, two: HostStore) -> None:
        fault = Fault(kind="error", until=110.0)
        for name in ("database", "cache", "auth"):
            one.faults.put(name, fault, 100.0)
        assert two.faults.end("cache")
        assert set(one.faults.active(100.0)) == {"database", "auth"}
        assert two.faults.end()
        assert one.faults.active(100.0) == {}

    def test_that_have_ended_make_room(self, one: HostStore) -> None:
        one.faults.put("database", Fault(kind="error", until=110.0), 100.0)
        one.faults.put("cache", Fault(kind="error", until=130.0), 120.0)
        assert set(one.faults.active(0.0)) == {"cache"}

    def test_say_when_they_could_not_be_changed(self, one: HostStore, busy: HostStore) -> None:
        assert not one.faults.put("database", Fault(kind="error", until=110.0), 100.0)
        assert not one.faults.end()


class TestFolders:
    def test_say_what_is_wrong_with_each(self, one: HostStore, two: HostStore) -> None:
        assert one.folders.read() == {}
        assert one.folders.write({"static": "it is full" + "!" * 2000, "events": ""})
        assert two.folders.read() == {"static": "it is full" + "!" * 990, "events": ""}

    def test_say_when_it_could_not_be_written(self, one: HostStore, busy: HostStore) -> None:
        assert not one.folders.write({"static": ""})


class TestSilences:
    def test_keep_the_latest_of_each_dependency(self, one: HostStore, two: HostStore) -> None:
        assert one.silences.latest("database") == 0.0
        assert one.silences.note("database", 20.0)
        assert two.silences.note("database", 10.0)
        assert two.silences.note("cache", 5.0)
        assert [one.silences.latest(name) for name in ("database", "cache")] == [20.0, 5.0]

    def test_say_when_one_could_not_be_noted(self, one: HostStore, busy: HostStore) -> None:
        assert not one.silences.note("database", 20.0)


class TestTableLocks:
    def test_are_seen_by_all_processes(self, one: HostStore, two: HostStore) -> None:
        assert one.table_locks.read() == {}
        known = {"database orders": TableLock(waits=(1.0, 2.5), since=2.5, tried=3.0)}
        assert one.table_locks.update(lambda _: known)
        assert two.table_locks.read() == known

    def test_say_when_they_could_not_be_changed(self, one: HostStore, busy: HostStore) -> None:
        assert not one.table_locks.update(lambda locks: locks)


class TestLastErrors:
    @pytest.mark.parametrize("part", [0, 1, 2, 30, 31])
    def test_two_that_were_written_at_a_time_are_not_taken_for_one(self, one: HostStore, part: int) -> None:
        at = one.layout.last_errors.of(0)
        one.last_errors.put(0, 1.0, "first", 1, 1.0)
        first = one.words[at + part]
        one.last_errors.put(0, 2.0, "other", 2, 2.0)
        one.words[at + part] = first
        assert one.last_errors.get(0) is None

    def test_are_kept_for_each_breaker(self, one: HostStore, two: HostStore) -> None:
        assert one.last_errors.get(0) is None
        one.last_errors.put(0, 1_700.0, "OperationalError 57P01")
        one.last_errors.put(1, 1_800.0, "TimeoutError", window=7, seen=9.5)
        assert two.last_errors.get(0) == (1_700.0, "OperationalError 57P01", 0, 0.0)
        assert two.last_errors.get(1) == (1_800.0, "TimeoutError", 7, 9.5)

    def test_are_cut_to_200_bytes_at_a_whole_character(self, one: HostStore) -> None:
        one.last_errors.put(0, 1.0, "x" + "\u6587" * 100)
        found = one.last_errors.get(0)
        assert found is not None
        assert found.what == "x" + "\u6587" * 66

    @pytest.mark.parametrize("damage", [-1, 201 << 32, 5 << 32, 0])
    def test_that_cannot_be_read_are_none(self, one: HostStore, damage: int) -> None:
        one.last_errors.put(0, 1.0, "error")
        one.words[one.layout.last_errors.of(0) + 1] = damage
        assert one.last_errors.get(0) is None


class TestCounters:
    def test_are_summed_over_processes_living_or_not(self, one: HostStore, two: HostStore) -> None:
        assert one.counters.add("responses", "live")
        assert two.counters.add("responses", "live", amount=4)
        assert two.counters.add("responses", "cached")
        two.close()
        assert one.counters.totals() == {("responses", "live"): 5, ("responses", "cached"): 1}

    def test_go_on_in_a_slot_that_is_used_again(self, one: HostStore, another: Another) -> None:
        one.counters.add("responses", "live", amount=3)
        one.close()
        successor = another()
        assert successor.slot() == 0
        successor.counters.add("responses", "live")
        assert successor.counters.totals() == {("responses", "live"): 4}

    def test_have_labels_without_the_sign_that_parts_them(self, one: HostStore) -> None:
        with pytest.raises(ValueError, match=r"must not hold a \|"):
            one.counters.add("a|b")

    def test_that_have_no_room_are_not_counted_and_it_is_said_once(
        self, one: HostStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        counted = [one.counters.add("responses", str(n)) for n in range(SMALL.counters + 3)]
        assert counted == [True] * SMALL.counters + [False] * 3
        assert not one.counters.add("responses", str(SMALL.counters))
        assert len(one.counters.totals()) == SMALL.counters
        assert caplog.text.count("responses are not all counted") == 1

    def test_that_are_new_wait_for_the_lock_and_known_ones_do_not(
        self, one: HostStore, busy: HostStore
    ) -> None:
        assert not one.counters.add("responses", "live")
        busy.lock.release()
        assert one.counters.add("responses", "live")
        busy.lock.take()
        assert one.counters.add("responses", "live")
        assert one.counters.totals() == {("responses", "live"): 2}

    def test_are_of_the_child_alone_after_a_fork(self, one: HostStore) -> None:
        one.counters.add("responses", "live")
        with one.counters._lock:
            pid = os.fork()
            if pid == 0:
                os._exit(0 if one.counters.add("responses", "live") else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert one.counters.totals() == {("responses", "live"): 2}
        assert one.words[one.layout.counts.of(0)] == 1


class TestPools:
    def test_are_summed_over_living_processes_and_refusals_over_all(
        self, one: HostStore, two: HostStore
    ) -> None:
        assert one.pools.put("read", in_use=2, waiting=1, limit=5, rejected=3)
        assert two.pools.put("read", in_use=1, waiting=0, limit=5, rejected=4)
        assert two.pools.put("write", in_use=1, waiting=0, limit=2, rejected=0)
        assert one.pools.totals() == {
            "read": Gauge(in_use=3, waiting=1, limit=10, rejected=7),
            "write": Gauge(in_use=1, waiting=0, limit=2, rejected=0),
        }
        two.close()
        assert one.pools.totals() == {
            "read": Gauge(in_use=2, waiting=1, limit=5, rejected=7),
            "write": Gauge(),
        }

    def test_refusals_go_on_in_a_slot_that_is_used_again(self, one: HostStore, another: Another) -> None:
        one.pools.put("read", in_use=0, waiting=0, limit=5, rejected=3)
        one.close()
        successor = another()
        successor.pools.put("read", in_use=0, waiting=0, limit=5, rejected=1)
        successor.pools.put("read", in_use=0, waiting=0, limit=5, rejected=2)
        assert successor.pools.totals()["read"].rejected == 5

    def test_that_have_no_room_are_not_shown_and_it_is_said_once(
        self, one: HostStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        shown = [one.pools.put(str(n), in_use=0, waiting=0, limit=1, rejected=0) for n in range(6)]
        assert shown == [True] * SMALL.pools + [False] * 2
        assert caplog.text.count("bulkheads are not all shown") == 1


class TestNames:
    def test_have_the_same_place_for_all(self, one: HostStore, two: HostStore) -> None:
        assert one.breaker_names.index("database") == 0
        assert two.breaker_names.index("cache") == 1
        assert two.breaker_names.index("database") == 0
        assert one.breaker_names.all() == ["database", "cache"]

    def test_may_be_120_bytes_long(self, one: HostStore, two: HostStore) -> None:
        name = "\u6587" * 40
        assert one.breaker_names.index(name) == 0
        assert two.breaker_names.all() == [name]
        with pytest.raises(ValueError, match="is longer than the 120 bytes"):
            one.breaker_names.index(name + "x")

    def test_that_have_no_room_have_no_place(self, one: HostStore, two: HostStore) -> None:
        for n in range(SMALL.breakers):
            CircuitBreaker(name=str(n), store=one).call(int)
        places = [one.breaker_names.index(str(n)) for n in range(SMALL.breakers + 1)]
        assert places == [0, 1, 2, 3, None]
        assert two.breaker_names.index("other") is None
        assert two.breaker_names.index("other") is None

    @pytest.mark.parametrize("damage", [-1, 121 << 32, 3 << 32])
    def test_that_cannot_be_read_keep_their_place(self, one: HostStore, two: HostStore, damage: int) -> None:
        one.breaker_names.index("one")
        one.breaker_names.index("two")
        one.words[one.layout.breaker_names.at + NAME_WORDS] = damage
        assert two.breaker_names.all() == ["", "two"]
        assert two.breaker_names.index("two") == 1
        assert two.counters.totals() == {}

    @pytest.mark.parametrize("used", [-5, 10_000])
    def test_are_no_more_than_there_is_room_for(self, one: HostStore, used: int) -> None:
        one.words[one.layout.breaker_names.at] = used
        assert len(one.breaker_names.all()) in (0, SMALL.breakers)

    def test_written_by_two_at_once_count_once(self, one: HostStore, two: HostStore) -> None:
        class Late(type(two.lock)):  # type: ignore[misc]
            def take(self, *arguments: float) -> float | None:
                one.breaker_names.index("database")
                taken: float | None = super().take(*arguments)
                return taken

        two.lock.__class__ = Late
        assert two.breaker_names.index("database") == 0
        assert one.breaker_names.all() == ["database"]

    def test_written_under_a_lock_that_was_lost_are_looked_up_again(
        self, one: HostStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = iter([True, False, True])
        monkeypatch.setattr(type(one.lock), "valid", lambda self: next(answers, True))
        assert one.breaker_names.index("database") is None
        assert one.breaker_names.index("database") == 0

    def test_are_not_written_under_a_lock_that_was_lost_before(
        self, one: HostStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = iter([True, False])
        monkeypatch.setattr(type(one.lock), "valid", lambda self: next(answers, True))
        assert one.breaker_names.index("database") is None
        assert one.breaker_names.all() == []
