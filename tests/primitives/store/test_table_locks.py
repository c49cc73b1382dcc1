"""Tables that others have locked, as all processes know them."""

from resilience.primitives import HostStore
from resilience.primitives.store import TableLock


class TestTableLocks:
    def test_are_seen_by_all_processes(self, one: HostStore, two: HostStore) -> None:
        assert one.table_locks.read() == {}
        known = {"database orders": TableLock(waits=(1.0, 2.5), since=2.5, tried=3.0)}
        assert one.table_locks.update(lambda _: known)
        assert two.table_locks.read() == known

    def test_say_when_they_could_not_be_changed(self, one: HostStore, busy: HostStore) -> None:
        assert not one.table_locks.update(lambda locks: locks)
