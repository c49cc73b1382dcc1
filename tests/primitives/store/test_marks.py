"""What a host knows of the catalogue version: each row of it, and one name for all."""

import pytest

from resilience.primitives import HostStore
from resilience.primitives.store import Mark, marks
from resilience.tiers.stored import FRESH_FOR

from .conftest import Another


class TestRise:
    def test_is_seen_by_all_and_lowers_nothing(self, one: HostStore, two: HostStore) -> None:
        assert one.marks.read() == Mark(0, 0)
        assert one.marks.rise(version=5)
        assert two.marks.rise(version=3, removals=2)
        assert one.marks.rows() == two.marks.rows() == {1: Mark(version=5, removals=2)}
        assert one.marks.read() == two.marks.read()

    def test_of_one_row_leaves_the_others(self, one: HostStore) -> None:
        one.marks.rise(3, version=50, removals=7)
        one.marks.rise(20, version=40)
        assert one.marks.rows() == {3: Mark(50, 7), 20: Mark(40, 0)}

    def test_says_when_it_could_not_be_written(self, one: HostStore, another: Another) -> None:
        busy = another()
        assert busy.lock.take() is not None
        assert not one.marks.rise(version=5)
        assert one.marks.rise(), "there was nothing to raise"
        busy.lock.release()
        assert one.marks.rise(version=5)

    def test_has_room_for_the_greatest_numbers_of_all_rows(self, one: HostStore) -> None:
        for row in range(1, 33):
            assert one.marks.rise(row, version=2**63 - 1, removals=2**63 - 1)
        assert len(one.marks.rows()) == 32


class TestNames:
    def test_of_two_hosts_that_know_different_writes_differ(self, one: HostStore) -> None:
        """Three rows have risen by 5, and each host knows of one of them."""
        names = set()
        for row in (1, 2, 32):
            one.marks.correct(one.marks.rows(), {number: Mark(1_000, 100) for number in (1, 2, 32)})
            one.marks.rise(row, version=1_005, removals=105)
            names.add(one.marks.read())
        assert len({name.version for name in names}) == len({name.removals for name in names}) == 3

    def test_are_the_same_for_the_same_rows_in_whatever_order_they_came(
        self, one: HostStore, two: HostStore
    ) -> None:
        one.marks.rise(3, version=50)
        one.marks.rise(20, version=40)
        name = one.marks.read()
        one.marks.correct(one.marks.rows(), {})
        one.marks.rise(20, version=40)
        one.marks.rise(3, version=50)
        assert one.marks.read() == two.marks.read() == name


class Clock:
    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(marks, "time", clock)
    return clock


class TestAFailoverThatLosesCommits:
    """Answers are stored under names. One that was read between a commit and its telling has an old name."""

    def test_brings_back_no_name_while_answers_of_before_are_fresh(
        self, one: HostStore, clock: Clock
    ) -> None:
        names = []
        for version in (50, 60):
            one.marks.rise(1, version=version)
            names.append(one.marks.read().version)
        for _ in range(2):
            assert one.marks.correct(one.marks.rows(), {1: Mark(50)})
            assert one.marks.rows() == {1: Mark(50)}
            assert one.marks.read().version not in names
            clock.now += marks.DOUBTED_FOR - 1.0
            assert FRESH_FOR < marks.DOUBTED_FOR - 1.0
        clock.now += 1.0
        assert one.marks.correct(one.marks.rows(), {1: Mark(50)})
        assert one.marks.read().version == names[0]

    def test_of_which_a_writer_tells_first_changes_the_name_too(self, one: HostStore, clock: Clock) -> None:
        """The new primary's clock is behind, so that the write has a lower number than what was lost."""
        one.marks.rise(1, version=50)
        one.marks.rise(1, version=60)
        names = {one.marks.read().version}
        noted = one.marks.rows()
        for version in (51, 52, 52):
            assert one.marks.rise(1, version=version)
            names.add(one.marks.read().version)
        assert one.marks.correct(noted, {1: Mark(50)})  # asked before these writes
        names.add(one.marks.read().version)
        assert one.marks.correct(one.marks.rows(), {1: Mark(52)})
        names.add(one.marks.read().version)
        assert len(names) == 6

    def test_leaves_what_may_stand_in(self, one: HostStore, clock: Clock) -> None:
        """Nothing was removed, so what stands in during an outage is as true as before."""
        one.marks.rise(1, version=60, removals=7)
        before = one.marks.read()
        one.marks.rise(1, version=50, removals=7)
        assert one.marks.read().version != before.version
        assert one.marks.read().removals == before.removals

    def test_is_forgotten_with_the_boot_of_the_host(self, one: HostStore, clock: Clock) -> None:
        one.marks.rise(1, version=60)
        one.marks.correct(one.marks.rows(), {1: Mark(50)})
        clock.now = 1.0
        one.marks.correct(one.marks.rows(), {1: Mark(50)})
        assert one.marks.read() == Mark(50)

    def test_that_lost_all_leaves_nothing_known(self, one: HostStore, clock: Clock) -> None:
        one.marks.rise(1, version=60)
        one.marks.correct(one.marks.rows(), {})
        assert one.marks.read() == Mark()


class TestCorrection:
    def test_raises_and_lowers_what_nobody_raised_meanwhile(self, one: HostStore, two: HostStore) -> None:
        one.marks.rise(1, version=50, removals=5)
        one.marks.rise(2, version=60)
        noted = one.marks.rows()
        assert one.marks.correct(noted, {1: Mark(40, 4), 2: Mark(70, 0), 3: Mark(10, 1)})
        assert two.marks.rows() == {1: Mark(40, 4), 2: Mark(70, 0), 3: Mark(10, 1)}

    def test_lowers_nothing_that_was_raised_meanwhile(self, one: HostStore, two: HostStore) -> None:
        noted = one.marks.rows()
        two.marks.rise(1, version=50, removals=5)
        two.marks.rise(2, version=60)
        assert one.marks.correct(noted, {1: Mark(40, 7), 2: Mark(61, 0)})
        assert one.marks.rows() == {1: Mark(50, 7), 2: Mark(61, 0)}

    def test_forgets_a_row_that_is_gone(self, one: HostStore) -> None:
        one.marks.rise(1, version=50)
        assert one.marks.correct(one.marks.rows(), {})
        assert one.marks.read() == Mark()

    def test_needs_no_lock_where_nothing_is_new(self, one: HostStore, another: Another) -> None:
        one.marks.rise(1, version=50)
        busy = another()
        assert busy.lock.take() is not None
        assert one.marks.correct(one.marks.rows(), {1: Mark(50, 0)})
        assert not one.marks.correct(one.marks.rows(), {1: Mark(40, 0)})
        assert one.marks.read() == Mark(50, 0)
