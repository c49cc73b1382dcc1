"""What is wrong with the folders of a server, as all its processes see it."""

import pytest

from resilience.primitives import HostStore

from .conftest import Another


class TestFolders:
    def test_say_what_is_wrong_with_each(self, one: HostStore, two: HostStore) -> None:
        assert one.folders.read() == {}
        assert one.folders.write({"static": "it is full" + "!" * 2000, "events": ""})
        assert two.folders.read() == {"static": "it is full" + "!" * 990, "events": ""}

    def test_say_when_it_could_not_be_written(self, one: HostStore, busy: HostStore) -> None:
        assert not one.folders.write({"static": ""})

    def test_say_nothing_once_the_first_write_of_all_is_taken_back(
        self, one: HostStore, two: HostStore, another: Another, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its writer was stopped, and lost the lock to one that has written nothing."""
        value = one.folders._value
        real = value._write

        def stopped(version: int, payload: bytes) -> None:
            real(version, payload)
            one.times[one.lock._held] -= 2.0  # type: ignore[attr-defined]
            assert two.lock.take() is not None

        monkeypatch.setattr(value, "_write", stopped)
        assert not one.folders.write({"static": ""})
        monkeypatch.undo()
        assert one.folders.read() == another().folders.read() == {}
        two.lock.release()
        assert one.folders.write({"static": "it is full"})
        assert another().folders.read() == {"static": "it is full"}
