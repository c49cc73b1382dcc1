"""The faults that drills inject: seen by all, and over by themselves."""

from resilience.primitives import HostStore
from resilience.primitives.store import Fault


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
