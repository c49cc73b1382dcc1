"""A silent name server costs a request what it may cost, once, and nothing when the addresses are known."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from resilience.net import addresses


class NameServer:
    """Stand in for the resolver: answers at once, or when it is let go, or with an error."""

    def __init__(self) -> None:
        self.questions = 0
        self.error: Exception | None = None
        self.found = ["192.0.2.1", "2001:db8::1", "192.0.2.1"]
        self.may_answer = threading.Event()
        self.may_answer.set()

    def getaddrinfo(self, host: str, port: None, **kwargs: Any) -> list[Any]:
        self.questions += 1
        assert self.may_answer.wait(10)
        if self.error:
            raise self.error
        return [(0, 0, 0, "", (address, 0)) for address in self.found]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(addresses, "_known", {})
    monkeypatch.setattr(addresses, "_asking", {})
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    yield server
    server.may_answer.set()
    for thread in threading.enumerate():
        if thread.name == "resolve":
            thread.join(10)


class TestLookup:
    @pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
    def test_returns_an_address_as_it_is(self, names: NameServer, address: str) -> None:
        assert addresses.lookup(address, 1.0) == [address]
        assert names.questions == 0

    def test_asks_once_and_names_each_address_once(self, names: NameServer) -> None:
        for _ in range(3):
            assert addresses.lookup("db.test", 10.0) == ["192.0.2.1", "2001:db8::1"]

        assert names.questions == 1

    def test_gives_up_in_time_when_the_name_server_is_silent(self, names: NameServer) -> None:
        names.may_answer.clear()

        with pytest.raises(TimeoutError, match=r"'db.test' was not resolved within 0\.01 s"):
            addresses.lookup("db.test", 0.01)

    def test_sends_one_question_however_many_wait_in_vain(self, names: NameServer) -> None:
        names.may_answer.clear()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                addresses.lookup("db.test", 0.0)

        assert names.questions == 1

    def test_hands_on_what_the_resolver_raised(self, names: NameServer) -> None:
        names.error = socket.gaierror(-2, "Name or service not known")

        with pytest.raises(socket.gaierror):
            addresses.lookup("db.test", 10.0)

    def test_hands_on_that_a_name_is_none(self, names: NameServer) -> None:
        names.error = UnicodeError("label empty or too long")

        with pytest.raises(UnicodeError):
            addresses.lookup("db..test", 10.0)

    def test_uses_old_addresses_at_once_while_it_asks_anew(
        self, names: NameServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(addresses, "REFRESH_AFTER", 0.0)
        addresses.lookup("db.test", 10.0)
        names.may_answer.clear()

        assert addresses.lookup("db.test", 0.0) == ["192.0.2.1", "2001:db8::1"]

    def test_keeps_old_addresses_when_the_name_server_fails(
        self, names: NameServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        addresses.lookup("db.test", 10.0)
        names.error = socket.gaierror(-3, "Temporary failure in name resolution")
        monkeypatch.setattr(addresses, "REFRESH_AFTER", 0.0)

        for _ in range(3):
            assert addresses.lookup("db.test", 10.0) == ["192.0.2.1", "2001:db8::1"]
