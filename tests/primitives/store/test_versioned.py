"""A value is read whole, and a version never goes back."""

import json
import logging

import pytest

from resilience.primitives import HostStore, LocalStore
from resilience.primitives.store.layout import COPIES, SMALL_COPY
from resilience.primitives.store.lock import HostLock
from resilience.primitives.store.versioned import Versioned
from tests.primitives.conftest import SMALL

from .conftest import Another


def value(store: HostStore | LocalStore) -> Versioned[list[object]]:
    """A list, in the place of the lease."""
    return Versioned(
        store, store.layout.lease.at, SMALL_COPY, [], encode=lambda one: one, decode=lambda one: one
    )


def stamp(store: HostStore | LocalStore, copy: int) -> int:
    return int(store.words[store.layout.lease.at + 1 + copy * SMALL_COPY])


class TestVersioned:
    def test_is_what_it_was_first_until_somebody_writes(self, another: Another) -> None:
        assert value(another()).read() == []
        assert value(another()).version == 0

    def test_is_seen_by_all_at_once(self, another: Another) -> None:
        one, two = value(another()), value(another())
        assert one.update(lambda last: [*last, 1]) == [1]
        assert two.read() == [1]
        assert two.update(lambda last: [*last, 2]) == [1, 2]
        assert one.read() == [1, 2]
        assert one.version == two.version

    def test_is_not_written_when_the_change_says_none(self, another: Another) -> None:
        one = value(another())
        assert one.update(lambda last: None) is None
        assert one.version == 0

    def test_lets_go_of_the_lock_when_the_change_fails(self, another: Another) -> None:
        one = value(another())
        with pytest.raises(ZeroDivisionError):
            one.update(lambda last: [1 / 0])
        assert one.update(lambda last: [1], longest_wait=0) == [1]

    def test_that_is_too_long_is_refused_and_changes_nothing(self, another: Another) -> None:
        one = value(another())
        one.update(lambda last: ["x" * 480])
        with pytest.raises(ValueError, match="do not fit into the 496 of this record"):
            one.update(lambda last: ["x" * 500])
        assert one.read() == ["x" * 480]

    def test_may_be_as_long_as_there_is_room(self, another: Another) -> None:
        one = value(another())
        assert one.update(lambda last: ["x" * 492])
        assert value(another()).read() == ["x" * 492]

    def test_carries_any_script_and_survives_half_a_character(self, another: Another) -> None:
        one, two = value(another()), value(another())
        one.update(lambda last: ["\u6587\U0001f600", "\ud800"])
        assert two.read() == ["\u6587\U0001f600", "?"]

    def test_versions_rise_and_never_lie_in_the_copy_in_force(self, another: Another) -> None:
        one = value(another())
        for n in range(12):
            before = one.version
            one.update(lambda last, n=n: [n])  # type: ignore[misc]
            assert one.version > before
            assert one.version % COPIES != before % COPIES

    def test_is_not_written_while_another_holds_the_lock(self, another: Another) -> None:
        one, store = value(another()), another()
        assert store.lock.take() is not None
        assert one.update(lambda last: [1], longest_wait=0) is None
        store.lock.release()
        assert one.update(lambda last: [1]) == [1]


class Killed(BaseException):
    """Ends a writer where it is."""


class Interrupted(HostLock):
    """A lock whose holder is stopped at a given look, while others take the lock and write."""

    def interrupt(self, at_look: int, meanwhile: object) -> None:
        self.looks, self.at_look, self.meanwhile = 0, at_look, meanwhile

    def valid(self) -> bool:
        self.looks += 1
        if self.looks == self.at_look:
            self.at_look = 0
            self._times[self._held] -= 2.0
            assert callable(self.meanwhile)
            self.meanwhile()
        return super().valid()


class TestStoppedWriters:
    """Each is stopped once it held the lock, and goes on when others have written."""

    def interrupted(self, another: Another, at_look: int, others: Versioned[list[object]]) -> object:
        store = another()
        lock = Interrupted(store.path.with_suffix(".lock"), store.times, store.lock._held)  # type: ignore[attr-defined]
        store.lock = lock
        lock.interrupt(at_look, lambda: others.update(lambda last: [*last, "others"]))
        mine = value(store)
        assert mine.update(lambda last: [*last, "mine"]) is None
        return mine.read()

    def test_before_the_write_writes_nothing(self, another: Another) -> None:
        others = value(another())
        # The first look is that of taking it.
        assert self.interrupted(another, 2, others) == ["others"]
        assert others.read() == ["others"]
        assert value(another()).read() == ["others"]

    def test_after_the_write_finds_out_and_takes_it_back(self, another: Another) -> None:
        others = value(another())
        assert self.interrupted(another, 3, others) == ["mine", "others"]
        assert value(another()).read() == ["mine", "others"]

    def test_between_look_and_write_is_of_a_lower_version_and_put_right(
        self, another: Another, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = another()
        mine, others, witness = value(store), value(another()), value(another())
        real = mine._write

        def stopped(version: int, payload: bytes) -> None:
            monkeypatch.setattr(mine, "_write", real)
            store.times[store.lock._held] -= 2.0  # type: ignore[attr-defined]
            others.update(lambda last: ["others"])
            assert witness.read() == ["others"]
            real(version, payload)

        monkeypatch.setattr(mine, "_write", stopped)
        assert mine.update(lambda last: ["mine"]) is None
        assert witness.read() == ["others"]
        assert mine.read() == others.read() == value(another()).read() == ["others"]

    @pytest.mark.parametrize("written_before", range(4))
    @pytest.mark.parametrize("written_meanwhile", range(1, 6))
    def test_between_look_and_write_destroys_nothing_that_others_wrote(
        self, another: Another, monkeypatch: pytest.MonkeyPatch, written_before: int, written_meanwhile: int
    ) -> None:
        """Though nobody looks again who has seen it."""
        store, others = another(), value(another())
        mine = value(store)
        for n in range(written_before):
            mine.update(lambda last, n=n: [*last, n])  # type: ignore[misc]
        real = mine._write

        def stopped(version: int, payload: bytes) -> None:
            monkeypatch.setattr(mine, "_write", real)
            store.times[store.lock._held] -= 2.0  # type: ignore[attr-defined]
            for _ in range(written_meanwhile):
                assert others.update(lambda last: [*last, "others"])
            real(version, payload)

        monkeypatch.setattr(mine, "_write", stopped)
        assert mine.update(lambda last: [*last, "mine"]) is None
        told = [*range(written_before), *["others"] * written_meanwhile]
        assert value(another()).read() == told
        assert mine.update(lambda last: [*last, "mine"]) == [*told, "mine"]

    def test_killed_as_they_have_written_late_are_put_right_by_the_next_writer(
        self, another: Another, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, others = another(), value(another())
        mine = value(store)
        real = mine._write

        def stopped(version: int, payload: bytes) -> None:
            store.times[store.lock._held] -= 2.0  # type: ignore[attr-defined]
            assert others.update(lambda last: ["others"])
            real(version, payload)
            raise Killed

        monkeypatch.setattr(mine, "_write", stopped)
        with pytest.raises(Killed):
            mine.update(lambda last: ["mine"])
        assert value(another()).read() == ["mine"]
        assert value(another()).update(lambda last: [*last, "next"]) == ["others", "next"]

    def test_after_the_write_take_it_back_if_nobody_has_built_on_it(self, another: Another) -> None:
        store, other = another(), another()
        lock = Interrupted(store.path.with_suffix(".lock"), store.times, store.lock._held)  # type: ignore[attr-defined]
        store.lock = lock
        lock.interrupt(0, None)
        mine = value(store)
        assert mine.update(lambda last: ["before"])
        lock.interrupt(3, lambda: other.lock.take())
        assert mine.update(lambda last: [*last, "mine"]) is None
        assert mine.read() == value(another()).read() == ["before"]

    def test_late_with_putting_right_leave_the_newest_in_force(
        self, another: Another, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, others = another(), value(another())
        mine = value(store)
        assert mine.update(lambda last: ["before"])
        real = mine._look_at_all

        def stopped() -> None:
            monkeypatch.setattr(mine, "_look_at_all", real)
            real()
            store.times[store.lock._held] -= 2.0  # type: ignore[attr-defined]
            assert others.update(lambda last: ["others"])

        store.words[store.layout.lease.at] = 0
        monkeypatch.setattr(mine, "_look_at_all", stopped)
        mine.update(lambda last: None)
        assert value(another()).read() == ["others"]

    def test_write_no_copy_once_they_have_lost_the_lock(
        self, another: Another, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What they would put back may be where another one writes just then."""
        store, others = another(), value(another())
        mine = value(store)
        assert mine.update(lambda last: ["before"])
        real = mine._look_at_all

        def stopped() -> None:
            monkeypatch.setattr(mine, "_look_at_all", real)
            real()
            store.times[store.lock._held] -= 2.0  # type: ignore[attr-defined]
            for n in range(3):
                assert others.update(lambda last, n=n: [n])  # type: ignore[misc]
            # None of the versions that it has seen can be read any more.
            mine._seen = (mine._seen[0] - COPIES, ["long ago"])

        store.words[store.layout.lease.at] = 0
        monkeypatch.setattr(mine, "_look_at_all", stopped)
        mine.update(lambda last: None)
        assert value(another()).read() == [2]


class TestVersionThatGoesBack:
    def test_is_ignored_and_put_right_by_whoever_saw_a_higher_one(self, another: Another) -> None:
        store = another()
        one, two = value(store), value(another())
        one.update(lambda last: [1])
        first = one.version
        one.update(lambda last: [2])
        store.words[store.layout.lease.at] = first
        assert one.read() == [2]
        assert store.words[store.layout.lease.at] == one.version
        assert two.read() == [2]

    def test_is_ignored_while_the_lock_is_busy_and_put_right_later(self, another: Another) -> None:
        store, busy = another(), another()
        one = value(store)
        one.update(lambda last: [1])
        store.words[store.layout.lease.at] = 0
        assert busy.lock.take() is not None
        assert one.read() == [1]
        assert store.words[store.layout.lease.at] == 0
        busy.lock.release()
        assert one.read() == [1]
        assert store.words[store.layout.lease.at] == one.version

    def test_does_not_undo_a_change_that_was_told(
        self, another: Another, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It came between the write and the last look of the writer, who has the lock."""
        store = another()
        one = value(store)
        one.update(lambda last: [1])
        first, real = one.version, one._write

        def overtaken(version: int, payload: bytes) -> None:
            real(version, payload)
            store.words[store.layout.lease.at] = first

        monkeypatch.setattr(one, "_write", overtaken)
        assert one.update(lambda last: [2]) == [2]
        assert value(another()).read() == [2]

    def test_is_put_right_before_a_change_is_made(self, another: Another) -> None:
        store = another()
        one = value(store)
        one.update(lambda last: [1])
        store.words[store.layout.lease.at] = 0
        assert one.update(lambda last: [*last, 2]) == [1, 2]

    def test_that_cannot_be_read_gives_way_to_the_newest_that_can(self, another: Another) -> None:
        store = another()
        one = value(store)
        for n in range(3):
            one.update(lambda last, n=n: [n])  # type: ignore[misc]
        store.words[store.layout.lease.at] = 2**60
        assert value(another()).read() == [2]
        assert store.words[store.layout.lease.at] == one.version

    @pytest.mark.parametrize("damage", ["stamp", "length", "longer", "sum", "payload"])
    def test_of_a_damaged_copy_is_put_right_from_memory_or_from_the_copy_before(
        self, another: Another, damage: str
    ) -> None:
        store = another()
        one = value(store)
        one.update(lambda last: ["first"])
        one.update(lambda last: ["second"])
        at = store.layout.lease.at + 1 + one.version % COPIES * SMALL_COPY
        if damage == "stamp":
            store.words[at] = -1
        elif damage == "length":
            store.words[at + 1] = -1
        elif damage == "longer":
            store.words[at + 1] = 497 << 32
        elif damage == "sum":
            store.words[at + 1] ^= 1
        else:
            store.words[at + 2] ^= 1
        newcomer = value(another())
        assert newcomer.read() == ["first"]
        # Who has seen the second brings it back as soon as it looks.
        assert one.read() == ["second"]
        assert newcomer.read() == ["second"]

    def test_that_cannot_be_read_while_the_lock_is_busy_gives_way_for_its_reader(
        self, another: Another
    ) -> None:
        store, busy = another(), another()
        one = value(store)
        one.update(lambda last: [1])
        store.words[store.layout.lease.at] = 2**60
        assert busy.lock.take() is not None
        assert value(another()).read() == [1]
        assert store.words[store.layout.lease.at] == 2**60

    def test_of_which_nothing_can_be_read_begins_anew(
        self, another: Another, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = another()
        store.words[store.layout.lease.at] = 12345
        with caplog.at_level(logging.ERROR):
            assert value(store).read() == []
        assert store.words[store.layout.lease.at] == 0
        assert value(store).update(lambda last: [1]) == [1]

    def test_is_not_taken_half_written(self, another: Another) -> None:
        store = another()
        one = value(store)
        one.update(lambda last: ["first"])
        # As far as a writer comes that is killed before it names its version.
        copy = (one.version + 1) % COPIES
        at = store.layout.lease.at + 1 + copy * SMALL_COPY
        payload = json.dumps(["second"]).encode()
        store.words[at] = -1
        store.bytes[(at + 2) * 8 : (at + 2) * 8 + len(payload)] = payload
        assert value(another()).read() == ["first"]
        assert one.update(lambda last: [*last, "third"]) == ["first", "third"]


def test_a_copy_that_is_written_over_while_it_is_read_is_looked_for_again(
    another: Another, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by who has seen nothing before, and while the lock is busy."""
    writer, newcomer = another(), value(another())
    mine = value(writer)
    mine.update(lambda last: [0])
    real = newcomer._parse

    def late(version: int) -> tuple[int, list[object]] | None:
        monkeypatch.setattr(newcomer, "_parse", real)
        for n in range(1, COPIES + 2):
            mine.update(lambda last, n=n: [n])  # type: ignore[misc]
        assert writer.lock.take() is not None
        return real(version)

    monkeypatch.setattr(newcomer, "_parse", late)
    assert newcomer.read() == [COPIES + 1]


def test_a_local_store_knows_the_same() -> None:
    store = LocalStore(SMALL)
    one, two = value(store), value(store)
    assert one.update(lambda last: [1]) == [1]
    assert two.read() == [1]
    assert stamp(store, one.version % COPIES) == one.version
