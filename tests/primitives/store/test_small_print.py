"""What the store promises besides: who waits, what is said, which bits a file has."""

import logging
import os
import stat
from pathlib import Path

import pytest

from resilience.primitives import HostStore, LocalStore
from resilience.primitives.store import open_store
from resilience.primitives.store.lease import LEASE_LASTS
from resilience.primitives.store.lock import LONGEST_HOLD, HostLock

from .conftest import Another


@pytest.fixture
def times() -> "memoryview[float]":
    return memoryview(bytearray(8)).cast("d")


class TestLock:
    def test_that_replaces_one_is_for_its_owner_alone(
        self, tmp_path: Path, times: "memoryview[float]"
    ) -> None:
        path = tmp_path / "lock"
        HostLock(path, times, 0).take()
        old = path.stat().st_ino
        times[0] -= LONGEST_HOLD
        before = os.umask(0)
        try:
            assert HostLock(path, times, 0).take(0) is not None
        finally:
            os.umask(before)
        assert path.stat().st_ino != old
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [file.name for file in tmp_path.iterdir()] == ["lock"]

    def test_whose_file_was_closed_by_somebody_else_is_opened_anew(
        self, tmp_path: Path, times: "memoryview[float]"
    ) -> None:
        lock = HostLock(tmp_path / "lock", times, 0)
        lock.take()
        lock.release()
        os.close(lock._file)
        assert lock.take(0) is None
        assert lock.take(0) is not None


class TestReader:
    def test_does_not_wait_to_put_right_what_it_cannot_read(
        self, another: Another, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, two = another(), another()
        one.lease.take(100.0)
        assert two.lease.holder(100.0) is not None
        asked: list[float] = []
        monkeypatch.setattr(two.lock, "take", lambda longest_wait: asked.append(longest_wait))
        one.words[one.layout.lease.at] = 1
        holder = two.lease.holder(100.0)
        assert holder is not None
        assert holder.process == one.me()
        assert asked == [0]


class TestLease:
    def test_that_nobody_took_yet_is_nobodys(self, another: Another) -> None:
        store = another()
        assert store.me() is not None
        assert store.lease.holder(LEASE_LASTS / 2) is None

    def test_of_the_first_process_is_its_own(self) -> None:
        store = LocalStore()
        assert store.lease.take(100.0) == 1
        holder = store.lease.holder(100.0)
        assert holder is not None
        assert holder.process == store.me() == 0

    def test_that_was_given_up_is_nobodys(self, another: Another) -> None:
        store = another()
        epoch = store.lease.take(1.0)
        assert epoch == 1
        store.lease.release(epoch)
        assert store.lease.holder(1.0) is None


class TestSaying:
    def test_once_keeps_the_words(self, caplog: pytest.LogCaptureFixture) -> None:
        store = LocalStore()
        with caplog.at_level(logging.WARNING):
            store.say_once("100 % full")
            store.say_once("100 % full")
        assert caplog.messages == ["100 % full"]


class TestOpening:
    @pytest.mark.parametrize("role", ["server", "command"])
    def test_gives_the_role_that_was_asked_for(self, tmp_path: Path, role: str) -> None:
        store = open_store(tmp_path / "host", "test", role=role, create=True)  # type: ignore[arg-type]
        assert isinstance(store, HostStore)
        assert store.role == role
        store.close()
