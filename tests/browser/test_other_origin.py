"""A page of another site which is allowed does in a browser all that the API has, and reads the answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import PASSWORD
from tests.servers.site import SiteServer

_FILLED = f"""
from django.contrib.auth.models import User
from learn.models import Category
User.objects.create_superuser("ada", password={PASSWORD!r})
Category.objects.create(title="Arts")
"""
# What a page calls: `await ask("PATCH", "/api/…", {"title": …}, {"If-Match": …})`.
_SCRIPT = """
async ([base, method, path, body, headers]) => {
    const given = body === null ? {} : {"Content-Type": "application/json"};
    const answer = await fetch(base + path, {
        method, body: body === null ? undefined : JSON.stringify(body), headers: {...given, ...headers},
    });
    const text = await answer.text();
    return {status: answer.status, headers: Object.fromEntries(answer.headers), text};
}
"""


class Elsewhere(BaseHTTPRequestHandler):
    """A site with one page, which has nothing on it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Other:
    """The page: what it asks of our site, and what its script may read of the answers."""

    def __init__(self, page: Page, site: SiteServer) -> None:
        self.page, self.site = page, site
        self.token = ""

    def asks(self, method: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            said["Authorization"] = f"Bearer {self.token}"
        found: dict[str, Any] = self.page.evaluate(_SCRIPT, [self.site.url, method, path, body, said])
        return found


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def allowing(origin: str) -> Iterator[SiteServer]:
    site = SiteServer(workers=1, CORS_ALLOWED_ORIGINS=origin)
    for command in (["migrate"], ["shell", "-c", _FILLED], ["fallback", "export"]):
        done = site.manage(*command, "--verbosity=0")
        assert done.returncode == 0, done.stderr
    with site:
        yield site


@pytest.fixture
def other(chromium: Browser, allowing: SiteServer, origin: str) -> Iterator[Other]:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(origin)
    yield Other(page, allowing)
    context.close()


class TestOtherOrigin:
    def test_signs_in_writes_and_signs_out(self, other: Other) -> None:
        signed = other.asks("POST", "/api/auth/token", {"username": "ada", "password": PASSWORD})
        assert signed["status"] == 200
        tokens = self._json(signed)
        other.token = tokens["access_token"]

        new = {"title": "Jazz & more"}
        made, again = (other.asks("POST", "/api/categories", new, Idempotency_Key='"k"') for _ in range(2))
        assert (made["status"], again["status"]) == (201, 201)
        assert "idempotent-replayed" not in made["headers"]
        assert again["headers"]["idempotent-replayed"] == "true"
        path = made["headers"]["location"].removeprefix(other.site.url)

        read = other.asks("GET", path, X_Request_ID="of-the-page")
        assert (read["status"], self._json(read)["title"]) == (200, "Jazz & more")
        assert read["headers"]["x-request-id"] == "of-the-page"
        tag = read["headers"]["etag"]
        assert other.asks("GET", path, If_None_Match=tag)["status"] == 304
        changed = other.asks("PATCH", path, {"title": "Jazz"}, If_Match=tag)
        assert (changed["status"], self._json(changed)["title"]) == (200, "Jazz")
        assert other.asks("PUT", path, {"title": "Blues"}, If_Match=tag)["status"] == 412
        assert other.asks("DELETE", path, If_Match=changed["headers"]["etag"])["status"] == 204
        assert other.asks("GET", path)["status"] == 404

        next_pair = other.asks("POST", "/api/auth/token/refresh", {"refresh_token": tokens["refresh_token"]})
        ended = self._json(next_pair)["refresh_token"]
        assert other.asks("POST", "/api/auth/logout", {"refresh_token": ended})["status"] == 204
        refused = other.asks("POST", "/api/auth/token/refresh", {"refresh_token": ended})
        assert refused["status"] == 401
        assert refused["headers"]["www-authenticate"].startswith("Bearer")

    def test_reads_lists_and_how_the_site_is(self, other: Other) -> None:
        found = other.asks("GET", "/api/categories?page_size=1")
        assert (found["status"], self._json(found)["results"][0]["slug"]) == (200, "arts")
        assert found["headers"]["x-data-source"] in ("live", "cached")
        assert found["headers"]["x-system-degraded"] == "false"
        wrong = other.asks("GET", "/api/categories?nope=1")
        assert (wrong["status"], self._json(wrong)["errors"][0]["parameter"]) == (400, "nope")
        assert other.asks("GET", "/api/health")["status"] == 200
        refused = other.asks("POST", "/api/health")
        assert (refused["status"], "GET" in refused["headers"]["allow"]) == (405, True)

    def test_reads_in_an_outage_what_stands_in_and_when_to_come_back(self, other: Other) -> None:
        orders = ("breakers", "isolate", "database", "--reason", "a test")
        assert other.site.manage(*orders).returncode == 0
        try:
            found = other.asks("GET", "/api/categories?page_size=7")
            assert (found["status"], found["headers"]["x-data-source"]) == (200, "static")
            assert {"age", "cache-status", "etag", "x-circuit-breaker-db"} <= found["headers"].keys()
            refused = other.asks("POST", "/api/auth/token", {"username": "ada", "password": PASSWORD})
            assert (refused["status"], int(refused["headers"]["retry-after"]) > 0) == (503, True)
        finally:
            assert other.site.manage("breakers", "reset", "--reason", "a test ends").returncode == 0

    def test_that_is_not_allowed_reads_nothing(self, other: Other, chromium: Browser) -> None:
        other.page.goto("about:blank")
        with pytest.raises(Exception, match="Failed to fetch"):
            other.asks("GET", "/api/categories")

    def _json(self, answer: dict[str, Any]) -> Any:
        return json.loads(answer["text"])
