"""The lock: nobody waits long for it, and nobody keeps it for ever."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.primitives.store import lock as module
from resilience.primitives.store.lock import HostLock, ThreadLock
from tests.patience import ROOM


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.lock"


@pytest.fixture
def times() -> "memoryview[float]":
    return memoryview(bytearray(16)).cast("d")


@pytest.fixture
def lock(path: Path, times: "memoryview[float]") -> HostLock:
    return HostLock(path, times, 1)


@pytest.fixture
def stuck(path: Path) -> Iterator[int]:
    """The lock in the hands of a process that is stopped."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    yield file
    os.close(file)


def is_free(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class TestHostLock:
    def test_is_held_from_taking_to_release(
        self, lock: HostLock, path: Path, times: "memoryview[float]"
    ) -> None:
        before = time.monotonic()
        taken = lock.take()
        assert taken is not None
        assert before <= taken <= time.monotonic()
        assert times[1] == taken
        assert not is_free(path)
        assert lock.valid()
        lock.release()
        assert is_free(path)
        assert times[1] == 0.0
        assert times[0] == 0.0
        assert path.stat().st_mode & 0o777 == 0o600

    def test_of_one_process_excludes_its_threads(self, lock: HostLock) -> None:
        assert lock.take() is not None
        started = time.monotonic()
        assert lock.take(0.02) is None
        assert time.monotonic() - started < 0.05 + ROOM
        lock.release()
        assert lock.take() is not None

    def test_excludes_other_processes(self, lock: HostLock, path: Path, times: "memoryview[float]") -> None:
        other = HostLock(path, times, 1)
        assert lock.take() is not None
        assert other.take(0) is None
        lock.release()
        assert other.take(0) is not None
        assert lock.take(0) is None

    def test_is_waited_for_at_most_50_ms(self, lock: HostLock, stuck: int) -> None:
        started = time.monotonic()
        assert lock.take() is None
        assert 0.045 < time.monotonic() - started < 0.2 + ROOM

    def test_that_somebody_is_known_to_keep_is_not_waited_for(
        self, lock: HostLock, stuck: int, times: "memoryview[float]"
    ) -> None:
        times[1] = time.monotonic() - 0.5
        started = time.monotonic()
        assert lock.take() is None
        assert time.monotonic() - started < 0.02 + ROOM

    def test_that_comes_free_meanwhile_is_had(self, lock: HostLock, stuck: int) -> None:
        threading.Timer(0.01, fcntl.flock, [stuck, fcntl.LOCK_UN]).start()
        assert lock.take(5.0) is not None

    def test_held_for_a_second_is_replaced_by_a_new_file(
        self, lock: HostLock, stuck: int, path: Path, times: "memoryview[float]"
    ) -> None:
        old = path.stat().st_ino
        times[1] = time.monotonic() - 1.0
        assert lock.take() is not None
        assert path.stat().st_ino != old
        assert lock.valid()
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_held_by_who_never_said_so_is_replaced_a_second_after_the_first_look(
        self, lock: HostLock, stuck: int, times: "memoryview[float]"
    ) -> None:
        started = time.monotonic()
        while lock.take(0) is None:
            time.sleep(0.01)
        assert 0.95 < time.monotonic() - started < 1.5 + ROOM

    def test_that_was_replaced_is_no_longer_valid_for_its_old_holder(
        self, lock: HostLock, path: Path, times: "memoryview[float]"
    ) -> None:
        other = HostLock(path, times, 1)
        assert lock.take() is not None
        times[1] = time.monotonic() - 1.0
        assert other.take() is not None
        assert other.valid()
        assert not lock.valid()
        lock.release()
        assert lock.take(0) is None
        other.release()
        assert lock.take() is not None
        assert lock.valid()

    def test_is_not_replaced_again_by_who_waited_for_the_old_one(
        self, lock: HostLock, path: Path, times: "memoryview[float]"
    ) -> None:
        other, third = HostLock(path, times, 1), HostLock(path, times, 1)
        assert lock.take() is not None
        assert third.take(0) is None
        times[1] = time.monotonic() - 1.0
        assert other.take() is not None
        # As `third` sees it, before `other` said since when it holds the new file.
        times[1] = time.monotonic() - 1.0
        third._replace_locked()
        assert other.valid()

    def test_whose_file_is_deleted_is_made_anew(self, lock: HostLock, path: Path) -> None:
        assert lock.take() is not None
        path.unlink()
        assert not lock.valid()
        lock.release()
        assert lock.take() is not None
        assert lock.valid()

    def test_whose_folder_is_gone_cannot_be_had_and_raises_nothing(self, tmp_path: Path) -> None:
        lock = HostLock(tmp_path / "gone" / "lock", memoryview(bytearray(8)).cast("d"), 0)
        assert lock.take() is None
        assert lock.take() is None
        assert not lock.valid()

    def test_is_never_a_link(self, tmp_path: Path, path: Path) -> None:
        path.symlink_to(tmp_path / "elsewhere")
        assert HostLock(path, memoryview(bytearray(8)).cast("d"), 0).take() is None
        assert not (tmp_path / "elsewhere").exists()

    def test_of_a_clock_that_is_ahead_is_not_held_for_less_than_no_time(
        self, lock: HostLock, stuck: int, times: "memoryview[float]"
    ) -> None:
        times[1] = time.monotonic() + 100
        assert lock.take(0) is None
        assert times[1] <= time.monotonic()

    def test_that_was_forgotten_while_it_was_held_is_given_back_in_peace(self, lock: HostLock) -> None:
        assert lock.take() is not None
        lock.forget()
        lock.release()
        assert lock.take(0) is not None

    def test_begins_anew_in_a_forked_child(
        self, lock: HostLock, path: Path, times: "memoryview[float]"
    ) -> None:
        assert lock.take() is not None
        file = lock._file
        lock.forget()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)
        assert lock.take(0) is not None

    def test_limits_are_the_promised_ones(self) -> None:
        assert (module.LONGEST_WAIT, module.LONGEST_HOLD) == (0.05, 1.0)


class TestThreadLock:
    def test_held_for_a_second_is_replaced_and_its_old_holder_finds_out(self) -> None:
        lock = ThreadLock()
        lock.take()
        lock._since -= 1.0
        taken: list[float | None] = []

        def others() -> None:
            taken.append(lock.take(0.01))
            taken.append(lock.take(0.01))

        thread = threading.Thread(target=others)
        thread.start()
        thread.join()
        assert taken[0] is None
        assert taken[1] is not None
        assert not lock.valid()
        assert lock.generation == 1
        lock.release()
        assert lock.take(0) is None

    def test_is_not_replaced_by_who_does_not_wait(self) -> None:
        lock = ThreadLock()
        lock.take()
        lock._since -= 1.0
        assert lock.take(0) is None
        assert lock.take(0) is None

    def test_excludes_threads_and_waits_at_most_so_long(self) -> None:
        lock = ThreadLock()
        taken = lock.take()
        assert taken is not None
        assert taken <= time.monotonic()
        assert lock.take(0.01) is None
        assert lock.valid()
        lock.release()
        assert lock.take(0) is not None
        lock.forget()
        assert lock.take(0) is not None
