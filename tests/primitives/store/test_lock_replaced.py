"""A holder that was stopped, killed or interrupted holds up nobody for longer than a second."""

import time
from pathlib import Path

import pytest

from resilience.primitives.store.lock import LONGEST_HOLD, HostLock
from tests.patience import ROOM


class Interrupted(BaseException):
    """Comes at a moment that nobody chose."""


@pytest.fixture
def times() -> "memoryview[float]":
    return memoryview(bytearray(8)).cast("d")


@pytest.fixture
def holder(tmp_path: Path, times: "memoryview[float]") -> HostLock:
    """A lock that was taken more than a second ago."""
    lock = HostLock(tmp_path / "lock", times, 0)
    assert lock.take() is not None
    times[0] -= LONGEST_HOLD
    return lock


@pytest.fixture
def other(tmp_path: Path, times: "memoryview[float]") -> HostLock:
    return HostLock(tmp_path / "lock", times, 0)


class TestReplaced:
    def test_after_a_second_it_is_taken_over(self, holder: HostLock, other: HostLock) -> None:
        assert other.take(0) is not None
        assert other.valid()
        assert not holder.valid()

    def test_who_dies_while_replacing_it_does_not_begin_the_second_anew(
        self, holder: HostLock, other: HostLock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(*_: object) -> None:
            raise Interrupted

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", killed)
            with pytest.raises(Interrupted):
                other.take(0)
        assert other.take(0) is not None

    def test_whoever_replaces_it_has_taken_it_later(
        self, tmp_path: Path, times: "memoryview[float]", other: HostLock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also just after the old holder has looked whether it has the lock: versions go by these times."""
        lock = HostLock(tmp_path / "lock", times, 0)
        later: list[float | None] = []
        usual = lock.valid

        def looked() -> bool:
            found = usual()
            times[0] = time.monotonic() - LONGEST_HOLD
            later[:] = [other.take(0)]
            return found

        monkeypatch.setattr(lock, "valid", looked)
        taken = lock.take(0)
        assert taken is not None
        assert later[0] is not None
        assert taken < later[0]

    def test_its_generation_counts_how_often(
        self, tmp_path: Path, times: "memoryview[float]", holder: HostLock
    ) -> None:
        assert holder.generation == 0
        for number in range(1, 4):
            lock = HostLock(tmp_path / "lock", times, 0)
            assert lock.take(0) is not None
            assert lock.generation == number
            times[0] -= LONGEST_HOLD

    def test_the_old_holder_does_not_hide_since_when_the_new_one_has_it(
        self, holder: HostLock, other: HostLock, times: "memoryview[float]"
    ) -> None:
        taken = other.take(0)
        holder.release()
        assert times[0] == taken


class TestInterrupted:
    def test_between_the_file_lock_and_its_return_it_is_free_again(
        self, tmp_path: Path, other: HostLock, times: "memoryview[float]", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lock = HostLock(tmp_path / "lock", times, 0)

        def interrupted() -> bool:
            raise Interrupted

        with monkeypatch.context() as patch:
            patch.setattr(lock, "valid", interrupted)
            with pytest.raises(Interrupted):
                lock.take()
        assert other.take(0) is not None
        other.release()
        assert lock.take(0) is not None

    def test_while_giving_it_back_it_is_given_back_all_the_same(
        self, other: HostLock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert other.take() is not None

        def interrupted(*_: object) -> None:
            raise Interrupted

        with monkeypatch.context() as patch:
            patch.setattr("resilience.primitives.store.lock.fcntl.flock", interrupted)
            with pytest.raises(Interrupted):
                other.release()
        start = time.monotonic()
        assert other.take() is not None
        assert time.monotonic() - start < 0.05 + ROOM
