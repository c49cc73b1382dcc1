"""A page of another site that is allowed may read each refusal: its status, and when to come back."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from pytest_django import Settings

from resilience import conf, registry
from resilience.observe import health
from resilience.testing import full_pool, server_role

PAGE = "https://learn.example"
JSON = "application/json"
LIST, TOKEN = "/api/categories", "/api/auth/token"
Ask = Callable[..., Any]

pytestmark = pytest.mark.django_db


class Failing:
    """Middleware that fails before it has set any header."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        raise RuntimeError("a bug of its own")


@pytest.fixture(autouse=True)
def site(server: None, settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [PAGE]


@pytest.fixture(params=["wsgi", "asgi"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Return what asks as the page does."""

    def asks(method: str, path: str, body: Any = b"", kind: str = JSON, **headers: str) -> Any:
        said = {"origin": PAGE, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if request.param == "wsgi":
            client = Client(raise_request_exception=False)
            return client.generic(method, path, body, content_type=kind, headers=said)
        return async_to_sync(asks_asgi)(method, path, body, kind, said)

    async def asks_asgi(method: str, path: str, body: Any, kind: str, said: Any) -> Any:
        other = AsyncClient(raise_request_exception=False)
        return await other.generic(method, path, body, content_type=kind, headers=said)

    return asks


def is_read_by_the_page(answer: Any) -> bool:
    exposed = {name.strip() for name in answer.get("Access-Control-Expose-Headers", "").split(",")}
    return answer.get("Access-Control-Allow-Origin") == PAGE and "Retry-After" in exposed


class TestARefusal:
    @pytest.mark.parametrize(
        ("status", "method", "path", "sent"),
        [
            (400, "POST", TOKEN, {"body": b"[" * 5_000}),
            (415, "POST", TOKEN, {"body": gzip.compress(b"{}"), "content_encoding": "gzip"}),
            (415, "POST", "/nowhere", {"body": gzip.compress(b"{}"), "content_encoding": "gzip"}),
            (501, "POST", LIST, {"body": b"{}", "transfer_encoding": "gzip, chunked"}),
            (405, "POST", "/api/health/live", {}),
            (401, "GET", "/metrics", {}),
            (401, "POST", LIST, {"body": b"{}"}),
            (404, "GET", "/api/nowhere", {}),
            (412, "GET", "/api/health", {"if_match": '"x"'}),
            (412, "GET", LIST, {"if_match": '"x"'}),
        ],
    )
    def test_is_read(self, ask: Ask, status: int, method: str, path: str, sent: dict[str, Any]) -> None:
        answer = ask(method, path, **sent)
        assert answer.status_code == status, answer.content
        assert is_read_by_the_page(answer)
        assert {"X-Request-ID", "X-System-Degraded", "X-Frame-Options"} <= set(answer.headers)
        unread = ask(method, path, **sent, origin="https://other.example")
        assert (unread.status_code, unread.content) == (answer.status_code, answer.content)
        assert "Access-Control-Allow-Origin" not in unread

    def test_of_a_body_that_is_too_large_is_read(self, ask: Ask, settings: Settings) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        answer = ask("POST", TOKEN, b"{" * 100)
        assert (answer.status_code, is_read_by_the_page(answer)) == (413, True)

    def test_of_a_crowd_is_read_with_when_to_come_back(self, ask: Ask) -> None:
        with ExitStack() as stack:
            for name in conf.bulkheads():
                stack.enter_context(full_pool(name))
            answer = ask("GET", "/api/admin/history", authorization="Bearer ops-" + "0123456789abcdef" * 2)
        assert (answer.status_code, is_read_by_the_page(answer)) == (503, True)
        assert int(answer["Retry-After"]) >= 1

    @pytest.mark.django_db(transaction=True)
    def test_of_an_outage_is_read_with_when_to_come_back(self, ask: Ask) -> None:
        for name in registry.breakers():
            registry.breaker(name).isolate(who="test", why="an outage")
        answer = ask("POST", TOKEN, b'{"username": "ada", "password": "x"}')
        assert (answer.status_code, is_read_by_the_page(answer)) == (503, True)
        assert int(answer["Retry-After"]) >= 1

    def test_of_a_site_that_drains_is_read_as_it_is(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(health, "draining", lambda: True)
        answer = ask("GET", "/api/health/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "draining"})
        assert is_read_by_the_page(answer)

    def test_of_a_host_or_of_plain_http_is_read(self, ask: Ask, settings: Settings) -> None:
        settings.SECURE_SSL_REDIRECT = True
        moved = ask("GET", LIST)
        assert (moved.status_code, is_read_by_the_page(moved)) == (301, True)
        refused = ask("GET", LIST, host="elsewhere.example")
        assert (refused.status_code, is_read_by_the_page(refused)) == (400, True)
        assert DisallowedHost.__name__ not in refused.content.decode()

    def test_is_no_answer_to_the_question_before(self, ask: Ask) -> None:
        for path in (LIST, TOKEN, "/api/health/live", "/metrics", "/api/nowhere"):
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                named = {
                    "access_control_request_method": method,
                    "access_control_request_headers": "if-match",
                }
                answer = ask("OPTIONS", path, **named)
                assert (answer.status_code, answer.content) == (200, b"")
                assert "if-match" in answer["Access-Control-Allow-Headers"].lower()
                assert method in answer["Access-Control-Allow-Methods"]

    def test_goes_out_though_other_middleware_fails(self, ask: Ask, settings: Settings) -> None:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.{Failing.__name__}"]
        answer = ask("POST", TOKEN, b"...", content_encoding="gzip")
        assert answer.status_code == 415
        assert "Content-Encoding" in answer.json()["detail"]

    def test_is_counted_once(self, ask: Ask) -> None:
        before = _counted()
        ask("POST", TOKEN, b"...", content_encoding="gzip")
        assert _counted() == before + 1


def _counted() -> int:
    found = registry.store().counters.totals()
    return sum(number for (kind, *_), number in found.items() if kind == "responses")


def test_a_probe_without_a_page_is_answered_before_its_host_is_checked() -> None:
    with server_role():
        answer = Client().get("/api/health/live", headers={"host": "10.1.2.3"})
    assert answer.status_code == 200
