"""What systemd hears from the supervisor.

Of the kind: a socket in the file system and one without a file, no watchdog in the unit, nobody at the
socket.
"""

import logging
import socket
from pathlib import Path

import pytest

from zenow.server.watchdog import Watchdog


@pytest.mark.parametrize("named", ["file", "abstract"])
def test_a_sign_of_life_reaches_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify") if named == "file" else "")
        systemd.settimeout(5)
        address = systemd.getsockname()
        told = address if isinstance(address, str) else "@" + address[1:].decode()
        monkeypatch.setenv("NOTIFY_SOCKET", told)
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        watchdog = Watchdog()
        watchdog.tell()
        assert systemd.recv(100) == b"WATCHDOG=1"


def test_nothing_is_sent_where_nobody_expects_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
        Watchdog().tell()
        with pytest.raises(BlockingIOError):
            systemd.recv(100)


def test_a_socket_without_anybody_is_said_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    watchdog = Watchdog()
    with caplog.at_level(logging.WARNING, "zenow.watchdog"):
        watchdog.tell()
        watchdog.tell()
    assert [record.name for record in caplog.records] == ["zenow.watchdog"]
