"""The nginx site of deploy/, really run before the real server."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.servers.nginx import PROGRAM, Got, NginxServer
from tests.servers.site import SiteServer

pytestmark = pytest.mark.skipif(PROGRAM is None and "CI" not in os.environ, reason="nginx is not installed")


MINT = """
from django.contrib.auth.models import User
from learn.models import Category
from zenow.accounts import access
Category.objects.get_or_create(slug="arts", defaults={"title": "Arts"})
print(access.mint(User.objects.create_superuser("ada")))
"""


@pytest.fixture(scope="module")
def site() -> Iterator[SiteServer]:
    site = SiteServer(workers=1, ALLOWED_HOSTS="learn.example", TRUSTED_PROXIES="127.0.0.1")
    for command in (["migrate"], ["loaddata", "fixtures/categories.json"]):
        manage = [sys.executable, "manage.py", *command, "--verbosity=0"]
        subprocess.run(manage, env=dict(site.environment()), check=True)
    with site:
        yield site


@pytest.fixture(scope="module")
def token(site: SiteServer) -> str:
    return site.manage("shell", "--verbosity=0", "-c", MINT).stdout.strip()


@pytest.fixture(scope="module")
def nginx(site: SiteServer) -> Iterator[NginxServer]:
    with NginxServer(site.port) as server:
        yield server


def get(server: NginxServer, path: str) -> Got:
    return server.asks("GET", path)


def problem(got: Got, status: int) -> None:
    """Check that an error of nginx itself is a problem."""
    assert (got.status, got.headers["Content-Type"]) == (status, "application/problem+json")
    assert (got.json()["status"], got.json()["type"]) == (status, "about:blank")
    assert got.json()["title"]
    assert got.headers["Cache-Control"] == "no-store"
    assert ("Retry-After" in got.headers) == (status >= 500)


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
        assert response.status == 308  # A POST stays one.
        assert response.headers["Location"] == "https://learn.example/api/courses?page=2"

    def test_answers_for_a_page_that_is_not_there(self, nginx: NginxServer) -> None:
        assert get(nginx, "/no/such/page").status == 404

    def test_keeps_a_healthy_answer_and_gives_it_again(self, nginx: NginxServer) -> None:
        first, second = (get(nginx, "/api/categories?page_size=3") for _ in range(2))
        assert first.headers["X-Data-Source"] == "live"
        assert second.headers["X-Data-Source"] == "live"  # The app's own second answer would be `cached`.
        assert second.body == first.body
        assert first.headers["Cache-Status"] == "nginx; fwd=uri-miss"
        assert second.headers["Cache-Status"] == "nginx; hit"

    def test_answers_what_was_asked_before_while_the_app_is_gone(
        self, nginx: NginxServer, site: SiteServer
    ) -> None:
        known = get(nginx, "/api/categories?page_size=4")
        assert known.status == 200
        site.kill()
        try:
            assert get(nginx, "/api/categories?page_size=4").body == known.body
            problem(get(nginx, "/api/categories?page_size=5"), 502)
        finally:
            site.start()


class TestClients:
    """Somebody who takes gzip does here what the README promises."""

    @pytest.fixture
    def asks(self, nginx: NginxServer, token: str) -> Callable[..., Got]:
        def ask(method: str, path: str, body: object = None, *, bearer: str = token, **headers: str) -> Got:
            said = {"Accept_Encoding": "gzip", **headers}
            if bearer:
                said["Authorization"] = f"Bearer {bearer}"
            if body is not None:
                said["Content_Type"] = "application/json"
            sent = None if body is None else json.dumps(body).encode()
            return nginx.asks(method, path, sent, host=f"learn.example:{nginx.tls_port}", **said)

        return ask

    def test_changes_an_entry_by_the_tag_that_it_was_read_with(self, asks: Callable[..., Got]) -> None:
        made = asks("POST", "/api/categories", {"title": "Tagged", "description": "x" * 200})
        where = made.headers["Location"].partition(".example")[2].partition("/")[2]
        read = asks("GET", f"/{where}")
        assert read.headers["Content-Encoding"] == "gzip"
        assert "accept-encoding" in ", ".join(read.headers.get_all("Vary", [])).lower()
        seen = read.headers["ETag"]
        assert seen.startswith("W/")
        changed = asks("PATCH", f"/{where}", {"description": "y" * 200}, If_Match=seen)
        assert (changed.status, changed.json()["description"]) == (200, "y" * 200)
        assert asks("PATCH", f"/{where}", {"description": "z"}, If_Match=seen).status == 412
        assert asks("PUT", f"/{where}", {"title": "T"}, If_Match='W/"1-x"').status == 412
        assert asks("DELETE", f"/{where}", If_Match=changed.headers["ETag"]).status == 204

    def test_has_what_it_has_not_sent_again(self, asks: Callable[..., Got], token: str) -> None:
        for path in ("/api/categories?page_size=2", "/api/categories/arts"):
            for bearer in (token, ""):
                seen = asks("GET", path, bearer=bearer).headers["ETag"]
                again = asks("GET", path, If_None_Match=seen, bearer=bearer)
                assert (again.status, again.body) == (304, b"")
                assert asks("GET", path, If_None_Match='W/"x"', bearer=bearer).status == 200
                problem(asks("GET", path, If_Match='"x"', bearer=bearer), 412)

    def test_finds_further_pages_where_it_found_the_first(
        self, asks: Callable[..., Got], nginx: NginxServer
    ) -> None:
        page = asks("GET", "/api/categories?page_size=1").json()
        assert page["next"] == f"{nginx.url}/api/categories?page=2&page_size=1"
        # Whoever names another port is told so, and nobody else is.
        other = nginx.asks("GET", "/api/categories?page_size=1", host="learn.example:444").json()
        assert other["next"].startswith("https://learn.example:444/")
        here = nginx.asks("GET", "/api/categories?page_size=1").json()
        assert here["next"].startswith("https://learn.example/")

    def test_stores_once_under_a_key(self, asks: Callable[..., Got], nginx: NginxServer) -> None:
        first, again = (
            asks("POST", "/api/categories", {"title": "Once"}, Idempotency_Key=key) for key in ("k", '"k"')
        )
        assert (first.status, again.status) == (201, 201)
        assert first.headers["Location"] == f"{nginx.url}/api/categories/once"
        assert again.headers["Idempotent-Replayed"] == "true"

    def test_reads_why_nginx_refuses(self, asks: Callable[..., Got], nginx: NginxServer) -> None:
        large = asks("POST", "/api/categories", {"title": "x" * 1_100_000})
        problem(large, 413)
        problem(nginx.asks("GET", "/" + "x" * 9_000), 414)
        problem(nginx.asks("GET", "/", X_Long="x" * 9_000), 400)
        problem(nginx.asks("GET", "/-/problem"), 404)

    def test_reads_why_the_app_refuses(self, asks: Callable[..., Got]) -> None:
        missing = asks("GET", "/api/courses/nope")
        assert (missing.status, missing.json()["detail"]) == (404, "There is no course with this slug.")
        packed = asks("POST", "/api/categories", {"title": "x"}, Content_Encoding="gzip")
        assert (packed.status, packed.headers["Accept-Encoding"]) == (415, "identity")


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
        assert (stale.status, stale.headers["X-Data-Source"]) == (200, "cached")
        assert (stale.headers["X-System-Degraded"], stale.headers["X-Degraded-Reason"]) == (
            "true",
            "unavailable",
        )
        assert stale.headers["Cache-Status"] == "nginx; hit; detail=stale"
        assert stale.body == b"/known"
        problem(get(nginx, "/unknown"), 502)

    def test_answer_gives_way_to_the_app_s_own_refusal(
        self, app: ThreadingHTTPServer, nginx: NginxServer
    ) -> None:
        app.RequestHandlerClass.fails = True  # type: ignore[attr-defined]
        assert get(nginx, "/known").status == 503


class TestLate:
    def test_app_is_said_to_be(self) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as silent,
            NginxServer(silent.getsockname()[1], read_timeout="1s") as nginx,
        ):
            problem(get(nginx, "/api/categories"), 504)
