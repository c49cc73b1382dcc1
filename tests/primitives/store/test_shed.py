"""What pools sent away lately: told to all processes of the host, in a bounded room."""

from pathlib import Path

import pytest

from resilience.primitives import HostStore, LocalStore
from resilience.primitives.store import Layout
from resilience.primitives.store.shed import Shed

SMALL = Layout(breakers=2, slots=4, counters=8, pools=4, limits=16)


@pytest.fixture
def shed() -> Shed:
    return LocalStore().shed


def note(shed: Shed, now: float, count: int, *, pool: str = "read", read: bool = True) -> bool:
    """Do as those who send away do: note only what has to be noted."""
    return shed.is_due(pool, now, read=read) and shed.note(pool, now, count, read=read)


class TestReads:
    def test_were_never_shed_at_first(self, shed: Shed) -> None:
        assert shed.reads() == {}

    def test_are_known_with_when_it_was_last(self, shed: Shed) -> None:
        assert note(shed, 100.0, 0)
        assert note(shed, 101.0, 7)
        assert note(shed, 101.0, 3, pool="other")
        assert shed.reads() == {"read": 101.0, "other": 101.0}

    def test_are_noted_once_in_a_second(self, shed: Shed) -> None:
        assert note(shed, 100.0, 0)
        assert not note(shed, 100.9, 1)
        assert shed.reads() == {"read": 100.0}

    def test_are_no_writes(self, shed: Shed) -> None:
        assert note(shed, 100.0, 0, read=False)
        assert not note(shed, 101.0, 1, read=False)
        assert shed.reads() == {}
        assert note(shed, 101.5, 2)
        assert note(shed, 105.0, 3, read=False)
        assert shed.reads() == {"read": 101.5}

    def test_are_told_to_the_other_processes(self, tmp_path: Path) -> None:
        ours, others = (
            HostStore(tmp_path, "test", role="server", create=True, layout=SMALL) for _ in range(2)
        )
        assert note(ours.shed, 100.0, 4)
        assert others.shed.reads() == {"read": 100.0}
        assert others.shed.counts_before(101.0) == {"read": 4}
        ours.close()
        others.close()


class TestCountsBefore:
    def test_are_those_when_the_minute_began(self, shed: Shed) -> None:
        for second in range(120):
            note(shed, 1_000.0 + second, 10 * second)
        # Samples lie five seconds apart; the oldest within the minute counts.
        assert shed.counts_before(1_119.0) == {"read": 600}
        assert shed.counts_before(1_150.0) == {"read": 950}

    def test_there_are_none_after_a_minute_without(self, shed: Shed) -> None:
        note(shed, 100.0, 0)
        assert shed.counts_before(159.9) == {"read": 0}
        assert shed.counts_before(160.0) == {}


class TestRoom:
    def test_is_for_a_minute_of_many_pools(self, shed: Shed) -> None:
        for second in range(0, 200, 5):
            for pool in range(16):
                assert shed.note(f"pool-{pool:03}", 1e9 + second, 10**9 + second, read=True)
        assert len(shed.reads()) == 16
        assert not shed.note("one more", 1e9 + 200, 0, read=True)

    def test_is_given_to_others_after_a_minute(self, shed: Shed) -> None:
        for pool in range(16):
            shed.note(f"pool-{pool:03}", 100.0, 0, read=True)
        assert shed.note("one more", 161.0, 0, read=True)
        assert shed.reads() == {"one more": 161.0}
