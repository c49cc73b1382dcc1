"""A client that stops in the middle of its body holds a thread for a while, and never all of them."""

import io
import socket
import threading
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from resilience.primitives import BulkheadFullError
from tests.patience import ROOM
from tests.servers.site import SiteServer
from tests.starving import no_threads
from zenow.slow_bodies import SlowBodies

HELD = 40  # of the 16 threads of a worker


class Stalling(io.BytesIO):
    """Stand for the body of a client that stops, until it hangs up."""

    def __init__(self) -> None:
        super().__init__()
        self.hung_up = threading.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        self.hung_up.wait()
        return b""


def read(bodies: SlowBodies, stream: io.BytesIO, *sizes: int) -> list[bytes]:
    """Return what an application reads of a request with this body."""
    found: list[bytes] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        found.extend(environ["wsgi.input"].read(size) for size in sizes)
        return []

    list(bodies.bounded(app)({"REQUEST_METHOD": "POST", "wsgi.input": stream}, lambda *_: None))
    return found


class TestBounds:
    def test_let_a_body_through_that_is_there(self) -> None:
        bodies = SlowBodies(waiting=1)
        assert read(bodies, io.BytesIO(b"abcdef"), 2, -1, 2) == [b"ab", b"cdef", b""]
        assert read(bodies, io.BytesIO(b"abc"), 9) == [b"abc"]

    def test_raise_what_the_server_raises(self) -> None:
        class Broken(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                raise OSError("reset")

        with pytest.raises(OSError, match="reset"):
            read(SlowBodies(waiting=1), Broken(), 1)

    def test_end_the_wait_and_give_the_place_back(self) -> None:
        bodies, stalling = SlowBodies(waiting=1, patience=0.05), Stalling()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                read(bodies, stalling, 1)
        assert read(bodies, io.BytesIO(b"a"), 1) == [b"a"]
        stalling.hung_up.set()

    def test_leave_no_more_behind_than_they_may(self) -> None:
        bodies, stalling = SlowBodies(waiting=1, left_behind=2, patience=0.05), Stalling()
        for expected in (TimeoutError, TimeoutError, BulkheadFullError):
            with pytest.raises(expected):
                read(bodies, stalling, 1)
        stalling.hung_up.set()
        for _ in range(2):  # Both have ended, and given their places back.
            assert bodies.readers.acquire(timeout=10.0 * ROOM)

    def test_lose_no_place_for_want_of_a_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bodies = SlowBodies(waiting=1, left_behind=1)
        with no_threads(monkeypatch):
            for _ in range(3):
                with pytest.raises(BulkheadFullError, match="can't start new thread"):
                    read(bodies, io.BytesIO(b"a"), 1)
        assert read(bodies, io.BytesIO(b"a"), 1) == [b"a"]

    def test_refuse_who_finds_no_place(self) -> None:
        bodies = SlowBodies(waiting=1)
        with bodies.places, pytest.raises(BulkheadFullError):
            read(bodies, io.BytesIO(b"a"), 1)


@pytest.mark.timeout(120)
def test_a_site_answers_while_more_clients_stall_than_it_has_threads() -> None:
    """Tried by POST and GET, with bodies of a length and in chunks, to the API, the admin, and nothing."""
    site = SiteServer(workers=1, threads=16)
    assert site.manage("migrate", "--verbosity=0", WEB_THREADS="112").returncode == 0
    with site, ExitStack() as held:
        paths = ("/api/auth/token", "/admin/login/", "/nope", "/api/categories")
        lengths = ("Content-Length: 1000", "Transfer-Encoding: chunked")
        for number in range(HELD):
            asked = f"{'POST' if number < HELD / 2 else 'GET'} {paths[number % 4]} HTTP/1.1"
            client = held.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=5))
            client.sendall(
                f"{asked}\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"{lengths[number % 2]}\r\n\r\n".encode()
            )
        for _ in range(5):
            with suppress(TimeoutError):  # Some are refused by now; the others wait in vain.
                client.settimeout(0.3)
                client.recv(1)
            for path in ("/api/health/live", "/api/health", "/api/categories"):
                assert site.get(path, timeout=2.0 * ROOM).status == 200
