"""The lease: one steward at a time."""

import pytest

from resilience.primitives import HostStore
from tests.primitives.conftest import SMALL

from .conftest import Another


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

    def test_is_had_by_a_clock_of_before_once_who_had_it_in_between_is_dead(
        self, one: HostStore, two: HostStore, another: Another
    ) -> None:
        """Whoever had to wait for the lock has asked before, and has the lease for as much less."""
        waiting = another()
        one.lease.take(100.0)
        assert two.lease.take(102.5) == 2
        assert waiting.lease.take(101.0) is None
        two.close()
        assert waiting.lease.take(101.0) == 3
        assert one.lease.holder(102.9) == (3, waiting.me(), 101.0)
        assert one.lease.take(102.9) is None
        assert one.lease.holder(103.0) is None

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
