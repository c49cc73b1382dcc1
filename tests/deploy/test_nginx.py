"""The nginx site of deploy/, really run before the real server."""

import http.client
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.servers.nginx import PROGRAM, NginxServer
from tests.servers.site import SiteServer

pytestmark = pytest.mark.skipif(PROGRAM is None and "CI" not in os.environ, reason="nginx is not installed")


@pytest.fixture(scope="module")
def site() -> Iterator[SiteServer]:
    site = SiteServer(workers=1, ALLOWED_HOSTS="learn.example", TRUSTED_PROXIES="127.0.0.1")
    for command in (["migrate"], ["loaddata", "fixtures/categories.json"]):
        manage = [sys.executable, "manage.py", *command, "--verbosity=0"]
        subprocess.run(manage, env=dict(site.environment()), check=True)
    with site:
        yield site


@pytest.fixture(scope="module")
def nginx(site: SiteServer) -> Iterator[NginxServer]:
    with NginxServer(site.port) as server:
        yield server


def get(server: NginxServer, path: str) -> http.client.HTTPResponse:
    """Ask over TLS, with the certificate checked for the site's name."""
    context = ssl.create_default_context(cafile=str(server.certificate))
    connection = http.client.HTTPSConnection("learn.example", context=context)
    plain = socket.create_connection(("127.0.0.1", server.tls_port), timeout=10)
    connection.sock = context.wrap_socket(plain, server_hostname="learn.example")
    connection.request("GET", path, headers={"Host": "learn.example"})
    response = connection.getresponse()
    response.body = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


class TestNginx:
    def test_passes_the_site_through_tls(self, nginx: NginxServer) -> None:
        response = get(nginx, "/api/schema")
        assert response.status == 200
        assert response.headers["Strict-Transport-Security"].startswith("max-age=31536000")

    def test_redirects_plain_http(self, nginx: NginxServer) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=10)
        connection.request("GET", "/api/courses?page=2", headers={"Host": "learn.example"})
        response = connection.getresponse()
        connection.close()
        assert response.status == 301
        assert response.headers["Location"] == "https://learn.example/api/courses?page=2"

    def test_answers_for_a_page_that_is_not_there(self, nginx: NginxServer) -> None:
        assert get(nginx, "/no/such/page").status == 404

    def test_keeps_a_healthy_answer_and_gives_it_again(self, nginx: NginxServer) -> None:
        first, second = (get(nginx, "/api/categories?page_size=3") for _ in range(2))
        assert first.headers["X-Data-Source"] == "live"
        assert second.headers["X-Data-Source"] == "live"  # The app's own second answer would be `cached`.
        assert second.body == first.body  # type: ignore[attr-defined]
        assert first.headers["Cache-Status"] == "nginx; fwd=uri-miss"
        assert second.headers["Cache-Status"] == "nginx; hit"

    def test_answers_what_was_asked_before_while_the_app_is_gone(
        self, nginx: NginxServer, site: SiteServer
    ) -> None:
        known = get(nginx, "/api/categories?page_size=4")
        assert known.status == 200
        site.kill()
        try:
            assert get(nginx, "/api/categories?page_size=4").body == known.body  # type: ignore[attr-defined]
            assert get(nginx, "/api/categories?page_size=5").status == 502
        finally:
            site.start()


class QuickToAge(BaseHTTPRequestHandler):
    """An app whose answers are as ours are, but stale after a second; once it fails, all are 503."""

    fails = False

    def do_GET(self) -> None:
        body = b"" if self.fails else self.path.encode()
        self.send_response(503 if self.fails else 200)
        self.send_header("Cache-Control", "no-store" if self.fails else "s-maxage=1, stale-if-error=300")
        self.send_header("X-Data-Source", "live")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class TestStale:
    @pytest.fixture
    def app(self) -> Iterator[ThreadingHTTPServer]:
        app = ThreadingHTTPServer(("127.0.0.1", 0), type("App", (QuickToAge,), {}))
        thread = threading.Thread(target=app.serve_forever, args=(0.05,))
        thread.start()
        yield app
        app.shutdown()
        app.server_close()
        thread.join()

    @pytest.fixture
    def nginx(self, app: ThreadingHTTPServer) -> Iterator[NginxServer]:
        with NginxServer(app.server_port) as server:
            assert get(server, "/known").headers["Cache-Status"] == "nginx; fwd=uri-miss"
            time.sleep(2.1)  # It counts whole seconds.
            yield server

    def test_answer_is_given_while_the_app_is_gone(
        self, app: ThreadingHTTPServer, nginx: NginxServer
    ) -> None:
        app.shutdown()
        app.server_close()
        stale = get(nginx, "/known")
        assert (stale.status, stale.headers["X-Data-Source"]) == (200, "live")
        assert stale.headers["Cache-Status"] == "nginx; hit; detail=stale"
        assert stale.body == b"/known"  # type: ignore[attr-defined]
        assert get(nginx, "/unknown").status == 502

    def test_answer_gives_way_to_the_app_s_own_refusal(
        self, app: ThreadingHTTPServer, nginx: NginxServer
    ) -> None:
        app.RequestHandlerClass.fails = True  # type: ignore[attr-defined]
        assert get(nginx, "/known").status == 503
