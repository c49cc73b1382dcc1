"""What a request carries of the process that serves it."""

import http.client
import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.servers.site import SiteServer
from zenow.wsgi import without_process_environment


def seen_by_app(environ: dict[str, Any]) -> dict[str, Any]:
    """Return what arrives at an application behind the filter."""
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.update(environ)
        return []

    list(without_process_environment(app)(environ, lambda *_: None))
    return seen


class TestProcessEnvironment:
    def test_reaches_no_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgres://zenow:hunter2@db/zenow")
        assert seen_by_app(dict(os.environ) | {"REQUEST_METHOD": "GET"}) == {"REQUEST_METHOD": "GET"}

    def test_hides_nothing_that_the_server_says_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SERVER_NAME", "from-the-process")
        assert seen_by_app({"SERVER_NAME": "learn.example"}) == {"SERVER_NAME": "learn.example"}


class TestRefusedWrite:
    def test_is_answered_though_its_body_comes_late(self) -> None:
        """A client sends head and body one after the other; the answer does not need the body."""
        body = b'{"title": "Nobody signed in"}'
        head = (
            "POST /api/categories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        with (
            SiteServer(workers=1) as site,
            socket.create_connection(("127.0.0.1", site.port), timeout=30) as connection,
        ):
            for _ in range(3):  # on one connection
                connection.sendall(head)
                with pytest.raises(TimeoutError):
                    answer_on(connection, within=1.0)
                connection.sendall(body)
                assert answer_on(connection, within=30.0).status == 401


def answer_on(connection: socket.socket, *, within: float) -> http.client.HTTPResponse:
    """Read one answer."""
    connection.settimeout(within)
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response


class TestErrorPage:
    """A page that shows the request of a DEBUG server, on the real server."""

    def test_shows_no_secret(self) -> None:
        secret = "hunter2hunter2hunter2"
        with SiteServer(
            workers=1, DEBUG="1", REDIS_URL=f"redis://:{secret}@127.0.0.1:1/0", OPS_TOKEN=secret * 2
        ) as site:
            page = site.get("/admin/login/", host="not-allowed.example").body
        assert "DisallowedHost" in page
        assert "DATABASES" in page
        assert secret not in page
