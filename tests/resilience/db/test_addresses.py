"""No request waits for a name server: the last known addresses are used, refreshed in the background."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.abc import ConnDict

from resilience.db import addresses


class NameServer:
    """Stands in for ``getaddrinfo``: answers with what it is told, is silent while ``open`` is not set."""

    def __init__(self) -> None:
        self.answer: list[str] | OSError = ["192.0.2.1"]
        self.asked = 0
        self.open = threading.Event()
        self.open.set()

    def __call__(self, host: str, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        self.asked += 1
        self.open.wait(5)
        if isinstance(self.answer, OSError):
            raise self.answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in self.answer]


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server)
    monkeypatch.setattr(addresses, "_known", {})
    monkeypatch.setattr(addresses, "_running", {})
    yield server
    server.open.set()
    settle()


def settle() -> None:
    for thread in threading.enumerate():
        if thread.name == "resolve":
            thread.join(5)


class TestLookup:
    def test_asks_once_for_a_name(self, name_server: NameServer) -> None:
        assert addresses.lookup("db.example", 1.0) == ["192.0.2.1"]
        assert addresses.lookup("db.example", 1.0) == ["192.0.2.1"]
        assert name_server.asked == 1

    def test_uses_what_is_known_while_the_name_server_is_silent(
        self, name_server: NameServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        addresses.lookup("db.example", 1.0)
        monkeypatch.setattr(addresses, "REFRESH_AFTER", 0.0)
        name_server.open.clear()
        assert addresses.lookup("db.example", 0.0) == ["192.0.2.1"]

    def test_learns_a_new_address_in_the_background(
        self, name_server: NameServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        addresses.lookup("db.example", 1.0)
        monkeypatch.setattr(addresses, "REFRESH_AFTER", 0.0)
        name_server.answer = ["192.0.2.2"]
        addresses.lookup("db.example", 0.0)
        settle()
        assert addresses.lookup("db.example", 0.0) == ["192.0.2.2"]

    def test_keeps_what_is_known_when_the_name_is_gone(
        self, name_server: NameServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        addresses.lookup("db.example", 1.0)
        monkeypatch.setattr(addresses, "REFRESH_AFTER", 0.0)
        name_server.answer = socket.gaierror("no such name")
        addresses.lookup("db.example", 0.0)
        settle()
        assert addresses.lookup("db.example", 0.0) == ["192.0.2.1"]

    def test_ends_the_first_wait_with_the_budget(self, name_server: NameServer) -> None:
        name_server.open.clear()
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            addresses.lookup("db.example", 0.05)

    def test_says_so_when_a_name_has_never_been_known(self, name_server: NameServer) -> None:
        name_server.answer = socket.gaierror("no such name")
        with pytest.raises(psycopg.OperationalError, match=r"db\.example"):
            addresses.lookup("db.example", 1.0)


class TestParameters:
    def test_keep_the_name_beside_each_address(self, name_server: NameServer) -> None:
        name_server.answer = ["192.0.2.1", "192.0.2.2"]
        params = addresses.with_known_addresses({"host": "db.example", "port": "5433"}, 1.0)
        assert params == {
            "host": "db.example,db.example",
            "hostaddr": "192.0.2.1,192.0.2.2",
            "port": "5433,5433",
        }

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1", "/run/postgresql", "@abstract", ""])
    def test_without_a_name_are_left_alone(self, name_server: NameServer, host: str) -> None:
        assert addresses.with_known_addresses({"host": host}, 1.0) == {"host": host}
        assert name_server.asked == 0

    def test_with_an_address_of_their_own_are_left_alone(self, name_server: NameServer) -> None:
        params: ConnDict = {"host": "db.example", "hostaddr": "192.0.2.9"}
        assert addresses.with_known_addresses(params, 1.0) == params

    def test_mix_names_and_addresses(self, name_server: NameServer) -> None:
        params = addresses.with_known_addresses({"host": "db.example,192.0.2.7", "port": "1,2"}, 1.0)
        assert params == {
            "host": "db.example,192.0.2.7",
            "hostaddr": "192.0.2.1,192.0.2.7",
            "port": "1,2",
        }
