"""However slowly bytes arrive, and over however many addresses, nothing outlasts the deadline."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resilience.net import addresses, sockets
from resilience.primitives.deadline import deadline_scope
from tests.resilience.wire import Serve, deadline_kept, drip, serving, stay_silent, taking_at_most


def read_for_ever(sock: socket.socket) -> None:
    while sock.recv(1):
        pass


@contextmanager
def connected(serve: Serve, limit: float) -> Iterator[sockets.DeadlineSocket]:
    with serving(serve) as port, sockets.connect("127.0.0.1", port, limit) as sock:
        yield sock


class TestReceiving:
    def test_from_a_server_that_drips_ends_with_the_deadline(self) -> None:
        with connected(drip, 1.0) as sock, deadline_kept(0.2), pytest.raises(TimeoutError):
            read_for_ever(sock)

    def test_through_a_file_ends_with_the_deadline(self) -> None:
        with connected(drip, 1.0) as sock, deadline_kept(0.2), pytest.raises(TimeoutError):
            sock.makefile("rb").readline()

    def test_after_the_deadline_does_not_begin(self) -> None:
        with (
            connected(drip, 1.0) as sock,
            deadline_scope(0.0),
            pytest.raises(TimeoutError, match="the deadline is spent"),
        ):
            sock.recv(1)

    @pytest.mark.parametrize(("left", "missed"), [(0.1, 0.4), (0.3, 0.0)])
    def test_says_how_much_of_its_own_time_a_wait_did_not_have(self, left: float, missed: float) -> None:
        with connected(stay_silent, 0.5) as sock, deadline_scope(left):
            with pytest.raises(sockets.CappedTimeoutError) as caught:
                sock.recv(1)
            assert caught.value.missed == pytest.approx(missed, abs=0.05)
            with pytest.raises(sockets.CappedTimeoutError, match="the deadline is spent") as caught:
                sock.sendall(b"x")
            assert caught.value.missed == 0.5

    def test_that_had_all_of_its_own_time_says_nothing_of_it(self) -> None:
        with connected(stay_silent, 0.05) as sock, deadline_scope(5.0):
            with pytest.raises(TimeoutError) as caught:
                sock.recv(1)
            assert not isinstance(caught.value, sockets.CappedTimeoutError)

    def test_keeps_the_sockets_own_time_out(self) -> None:
        with connected(stay_silent, 1.0) as sock, deadline_scope(5.0):
            sock.settimeout(0.05)
            with pytest.raises(TimeoutError):
                sock.recv(1)

    def test_without_a_deadline_keeps_the_sockets_own_time_out(self) -> None:
        with connected(stay_silent, 0.05) as sock:
            with deadline_scope(0.01), pytest.raises(TimeoutError):
                sock.recv(1)
            with pytest.raises(TimeoutError):
                sock.recv(1)
            assert sock.gettimeout() == 0.05

    def test_may_be_a_look_that_does_not_wait(self) -> None:
        with connected(stay_silent, 1.0) as sock, deadline_scope(1.0):
            sock.settimeout(0)
            with pytest.raises(BlockingIOError):
                sock.recv(1)


class TestSending:
    def test_to_a_server_that_does_not_read_ends_with_the_deadline(self) -> None:
        with connected(stay_silent, 5.0) as sock, deadline_kept(0.1), pytest.raises(TimeoutError):
            sock.sendall(b"x" * 50_000_000)


class TestConnecting:
    def test_to_a_silent_host_ends_with_its_limit(self, silent_port: int) -> None:
        with taking_at_most(0.5), pytest.raises(TimeoutError):
            sockets.connect("127.0.0.1", silent_port, 0.1)

    def test_over_several_silent_addresses_has_one_limit(
        self, silent_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(addresses, "lookup", lambda host, limit: ["127.0.0.1"] * 4)

        with taking_at_most(0.4), pytest.raises(TimeoutError):
            sockets.connect("four.test", silent_port, 0.2)

    def test_reaches_the_second_address_when_the_first_refuses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(addresses, "lookup", lambda host, limit: ["127.0.0.2", "127.0.0.1"])

        with serving(drip) as port, sockets.connect("two.test", port, 1.0) as sock:
            assert sock.recv(1) == b"x"

    def test_reaches_the_second_address_when_the_first_is_silent(
        self, silent_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(addresses, "lookup", lambda host, limit: ["127.0.0.1", "127.0.0.3"])

        with socket.create_server(("127.0.0.3", silent_port)), taking_at_most(0.5):
            sockets.connect("two.test", silent_port, 0.4).close()

    def test_is_bounded_by_the_deadline_too(self, silent_port: int) -> None:
        with deadline_kept(0.1), pytest.raises(TimeoutError):
            sockets.connect("127.0.0.1", silent_port, 5.0)

    def test_over_ipv6_works(self) -> None:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
            sockets.connect("::1", listener.getsockname()[1], 1.0).close()


class TestTLS:
    def test_is_bounded_by_the_deadline_as_well(self, certificate: tuple[Path, Path]) -> None:
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(*certificate)
        context = ssl.create_default_context(cafile=str(certificate[0]))
        context.sslsocket_class = sockets.DeadlineSSLSocket

        def drip_in_tls(client: socket.socket, ended: threading.Event) -> None:
            with server.wrap_socket(client, server_side=True) as encrypted:
                drip(encrypted, ended)

        with (
            connected(drip_in_tls, 2.0) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            assert isinstance(sock, sockets.DeadlineSSLSocket)
            with deadline_kept(0.2), pytest.raises(TimeoutError):
                read_for_ever(sock)
            with deadline_scope(0.0), pytest.raises(TimeoutError):
                sock.sendall(b"x")

    def test_handshake_ends_with_the_deadline(self) -> None:
        context = ssl.create_default_context()
        context.sslsocket_class = sockets.DeadlineSSLSocket

        with connected(stay_silent, 5.0) as sock, deadline_kept(0.2), pytest.raises(TimeoutError):
            context.wrap_socket(sock, server_hostname="localhost")
