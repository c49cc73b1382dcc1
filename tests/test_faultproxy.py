"""The proxy breaks the wire as its modes say, for open connections and for new ones."""

import asyncio
import contextlib
import gc
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faultproxy import FaultProxy
from tests.patience import ROOM


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            while data := client.recv(65_536):
                client.sendall(data)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[FaultProxy]:
    with FaultProxy(echo) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    with connected(proxy) as client:
        yield client


def connected(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=2)


def ask(client: socket.socket, data: bytes = b"question") -> bytes:
    client.sendall(data)
    return client.recv(65_536)


class TestModes:
    def test_forget_leaves_what_was_open_silent_and_passes_what_is_new(
        self, proxy: FaultProxy, client: socket.socket
    ) -> None:
        assert ask(client) == b"question"
        proxy.set("forget")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ask(client)
        with connected(proxy) as other:
            assert ask(other) == b"question"

    def test_kill_resets_what_was_open_and_passes_what_is_new(
        self, proxy: FaultProxy, client: socket.socket
    ) -> None:
        assert ask(client) == b"question"
        proxy.set("kill")
        with pytest.raises(ConnectionResetError):
            ask(client)
        with connected(proxy) as other:
            assert ask(other) == b"question"

    def test_half_ends_one_direction_of_what_is_open(self, proxy: FaultProxy, client: socket.socket) -> None:
        assert ask(client) == b"question"
        proxy.set("half")
        assert client.recv(1) == b""
        client.sendall(b"still taken")
        with connected(proxy) as other:
            assert ask(other) == b"question"

    def test_pass_lets_everything_through(self, proxy: FaultProxy, client: socket.socket) -> None:
        assert ask(client) == b"question"
        assert (proxy.connections, proxy.chunks) == (1, 1)

    def test_refuse_resets_open_connections_and_refuses_new_ones(
        self, proxy: FaultProxy, client: socket.socket
    ) -> None:
        ask(client)
        proxy.set("refuse")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with pytest.raises(ConnectionRefusedError):
            connected(proxy)

    @pytest.mark.parametrize("turns", range(6))
    def test_refuse_resets_who_is_being_accepted_at_that_moment(self, proxy: FaultProxy, turns: int) -> None:
        clients = []

        async def refuse_meanwhile() -> None:
            clients.append(connected(proxy))
            for _ in range(turns):
                await asyncio.sleep(0)
            await proxy._set("refuse", 0.0, 0.0)

        proxy._run(refuse_meanwhile())
        with clients[0] as client, pytest.raises(ConnectionResetError):
            client.recv(1)
        gc.collect()  # a socket that was left open would be told of now

    def test_latency_holds_each_direction_back(self, proxy: FaultProxy, client: socket.socket) -> None:
        proxy.set("latency", delay=0.1)
        started = time.monotonic()
        assert ask(client) == b"question"
        assert 0.2 <= time.monotonic() - started < 1 + ROOM

    def test_silent_accepts_and_says_nothing(self, proxy: FaultProxy, client: socket.socket) -> None:
        proxy.set("silent")
        for each in (client, connected(proxy)):
            with each:
                each.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    ask(each)

    def test_what_was_held_back_arrives_once_it_passes_again(
        self, proxy: FaultProxy, client: socket.socket
    ) -> None:
        proxy.set("silent")
        client.sendall(b"question")
        proxy.set("pass")
        assert client.recv(100) == b"question"

    def test_mute_lets_the_question_through_and_holds_the_reply_back(
        self, proxy: FaultProxy, client: socket.socket
    ) -> None:
        proxy.set("mute")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ask(client)
        assert proxy.chunks == 1
        proxy.set("pass")
        assert client.recv(100) == b"question"

    def test_reset_accepts_and_resets(self, proxy: FaultProxy) -> None:
        proxy.set("reset")
        with pytest.raises(ConnectionResetError), connected(proxy) as client:
            client.recv(1)

    def test_cut_passes_half_of_a_reply(self, proxy: FaultProxy, client: socket.socket) -> None:
        ask(client)
        proxy.set("cut")
        client.sendall(b"12345678")
        try:
            assert client.recv(100) == b"1234"
        except ConnectionResetError:
            return  # a reset may overtake what was sent before it
        with pytest.raises(ConnectionResetError):
            client.recv(100)

    def test_flap_refuses_and_passes_in_turns(self, proxy: FaultProxy) -> None:
        proxy.set("flap", period=0.1)
        seen: set[bool] = set()
        end = time.monotonic() + 5
        while len(seen) < 2 and time.monotonic() < end:
            try:
                with connected(proxy) as client:
                    seen.add(ask(client) == b"question")
            except OSError:
                seen.add(False)
        assert seen == {True, False}
