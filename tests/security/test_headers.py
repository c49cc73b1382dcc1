"""What every answer forbids browsers, whichever way it came about."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import OperationalError
from django.test import Client
from psycopg.errors import AdminShutdown
from pytest_django import Settings

from learn.models import Category
from resilience import registry
from resilience.tiers.static_copy import building, keeping
from tests.security.conftest import OPS_TOKEN, Person
from tests.security.routes import filled, routes

pytestmark = pytest.mark.django_db(transaction=True)

BOARD = "/admin/resilience/board/"
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def client(server: None, settings: Settings) -> Client:
    """A browser of staff who may steer, over TLS, at a site that serves its own static files."""
    settings.WHITENOISE_AUTOREFRESH = settings.WHITENOISE_USE_FINDERS = True
    Category.objects.create(title="Arts")
    building.from_live()
    keeping.start.wait()  # until then, readiness is 503
    user = User.objects.create_user("ada", password=PASSWORD, is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="steer_breakers"))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def fail(monkeypatch: pytest.MonkeyPatch, error: BaseException, where: type[Any], name: str) -> None:
    def raising(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(where, name, raising)


Ask = Callable[[Client, pytest.MonkeyPatch], Any]


def _get(path: str, **headers: str) -> Ask:
    return lambda client, _: client.get(path, secure=True, headers=headers)


def _post(path: str, **data: str) -> Ask:
    return lambda client, _: client.post(path, data, secure=True)


def _sign_in(client: Client, _: pytest.MonkeyPatch) -> Any:
    said = {"username": "ada", "password": "x"}
    return client.post("/api/auth/token", said, content_type="application/json", secure=True)


def _isolated(ask: Ask) -> Ask:
    def asked(client: Client, patch: pytest.MonkeyPatch) -> Any:
        registry.breaker("database").isolate(who="test", why="an outage")
        return ask(client, patch)

    return asked


def _not_modified(client: Client, _: pytest.MonkeyPatch) -> Any:
    tag = client.get("/api/categories/arts", secure=True)["ETag"]
    return client.get("/api/categories/arts", secure=True, headers={"if-none-match": tag})


def _fresh(client: Client, _: pytest.MonkeyPatch) -> Any:
    client.get("/api/categories", secure=True)
    answer = client.get("/api/categories", secure=True)
    assert answer["X-Data-Source"] == "cached"
    return answer


def _last_resort(path: str) -> Ask:
    """A database that fails in another middleware, where no view can answer for it."""

    def asked(client: Client, patch: pytest.MonkeyPatch) -> Any:
        gone = OperationalError("server closed the connection unexpectedly")
        gone.__cause__ = AdminShutdown()
        fail(patch, gone, SessionMiddleware, "process_request")
        return client.get(path, secure=True)

    return asked


def _bug(path: str) -> Ask:
    def asked(client: Client, patch: pytest.MonkeyPatch) -> Any:
        fail(patch, RuntimeError("a bug"), SessionMiddleware, "process_request")
        return client.get(path, secure=True)

    return asked


JSON: dict[str, tuple[int, Ask]] = {
    "a list": (200, _get("/api/categories")),
    "a list that was known": (200, _fresh),
    "an entry": (200, _get("/api/categories/arts")),
    "an entry that has not changed": (304, _not_modified),
    "an answer of a stand-in": (200, _isolated(_get("/api/categories"))),
    "a problem of a parameter": (400, _get("/api/categories?nope=1")),
    "a problem of an address": (404, _get("/api/nope")),
    "a refusal of a token": (401, _get("/api/categories", authorization="Bearer x")),
    "a method that is not taken": (405, _post("/api/health")),
    "a write in an outage": (503, _isolated(_sign_in)),
    "an outage in a middleware": (503, _last_resort("/api/categories")),
    "a bug": (500, _bug("/api/categories")),
    "a host that is none of ours": (400, _get("/api/categories?page=1", host="other.example")),
    "health": (200, _get("/api/health")),
    "liveness": (200, _get("/api/health/live")),
    "readiness": (200, _get("/api/health/ready")),
    "the schema": (200, _get("/api/schema")),
    "metrics": (200, _get("/metrics", authorization=f"Bearer {OPS_TOKEN}")),
    "the state of the board": (200, _get(f"{BOARD}state.json")),
    "a style sheet": (200, _get("/static/resilience/board.css")),
    "the script of the API's documentation": (200, _get("/api/docs?script")),
}
PAGES: dict[str, tuple[int, Ask]] = {
    "the start page": (200, _get("/")),
    "the API's documentation": (200, _get("/api/docs")),
    "the admin": (200, _get("/admin/")),
    "a list of the admin": (200, _get("/admin/resilience/breaker/")),
    "the sign-in": (200, lambda client, _: Client().get("/admin/login/", secure=True)),
    "a form without its token": (
        403,
        lambda *_: Client(enforce_csrf_checks=True).post("/admin/login/", secure=True),
    ),
    "an address that is not there": (404, _get("/nope")),
    "a host that is none of ours": (400, _get("/", host="other.example")),
    "the board": (200, _get(BOARD)),
    "the entry to the board": (403, lambda *_: Client().get(BOARD, secure=True)),
    "an order that makes no sense": (400, _post(BOARD, action="explode")),
    "a page in an outage": (503, _isolated(_get("/admin/"))),
    "an outage in a middleware": (503, _last_resort("/admin/")),
    "a bug": (500, _bug("/admin/")),
}
# A script without an address (JSON is data), a handler in an element, a link that is a script.
WITHIN = re.compile(
    rb"""<script(?![^>]*(\ssrc=|type="application/json"))|<[^>]*\son[a-z]+=|<[^>]*["']javascript:"""
)
PROBES = ("liveness", "readiness", "metrics")  # Answered before anything else is, also over plain HTTP.


def directives(answer: Any) -> dict[str, list[str]]:
    """Return the content policy of a page, by directive."""
    parts = [part.split() for part in answer["Content-Security-Policy"].split(";")]
    return {name: sources for name, *sources in parts}


@pytest.fixture(params=[*(("JSON", name) for name in JSON), *(("page", name) for name in PAGES)], ids=str)
def answered(
    request: pytest.FixtureRequest, client: Client, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str, Any]]:
    kind, name = request.param
    status, ask = (JSON if kind == "JSON" else PAGES)[name]
    answer = ask(client, monkeypatch)
    assert answer.status_code == status
    assert answer.get("Content-Type", "").startswith("text/html") == (kind == "page")
    yield kind, name, answer
    answer.close()


class TestEveryAnswer:
    def test_forbids_what_browsers_would_do_by_themselves(self, answered: tuple[str, str, Any]) -> None:
        kind, name, answer = answered
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in answer
        if name not in PROBES:
            assert answer["Referrer-Policy"] == "same-origin"
            assert answer["X-Frame-Options"] == "DENY"
            assert answer["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
        if kind == "page":
            policy = directives(answer)
            assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
            assert policy["default-src"] in (["'self'"], ["'none'"])
            assert policy.get("script-src", ["'self'"]) == ["'self'"]
            assert policy["form-action"] in (["'self'"], ["'none'"])
            assert answer["Cross-Origin-Opener-Policy"] == "same-origin"


class TestPages:
    """What the policy forbids is not in them, so that browsers have nothing to refuse."""

    def test_have_no_script_within(
        self, people: dict[str, Person], examples: dict[str, dict[str, str]]
    ) -> None:
        seen = 0
        for route in routes():
            page = people["superuser"].asks("GET", filled(route, examples))
            if page.get("Content-Type", "").startswith("text/html") and page.status_code == 200:
                seen += 1
                assert not WITHIN.search(page.content), route
        assert seen > 30


class TestBoard:
    @pytest.mark.parametrize("name", ["the board", "the entry to the board"])
    def test_may_not_even_have_styles_within(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        policy = directives(PAGES[name][1](client, monkeypatch))
        assert policy["default-src"] == ["'none'"]
        assert policy["style-src"] == policy["script-src"] == ["'self'"]

    def test_loads_its_files_from_where_a_site_keeps_them(self, client: Client, settings: Settings) -> None:
        settings.STATIC_URL = "https://files.example/static/"
        policy = directives(client.get(BOARD))
        assert policy["script-src"] == ["'self'", "https://files.example"]


class TestTransport:
    def test_plain_http_is_sent_to_tls_save_for_probes(self, client: Client, settings: Settings) -> None:
        settings.SECURE_SSL_REDIRECT = True
        moved = client.get("/api/categories")
        assert (moved.status_code, moved["Location"]) == (301, "https://testserver/api/categories")
        for probe in ("live", "ready"):
            assert client.get(f"/api/health/{probe}").status_code == 200


class TestCookies:
    def test_are_for_tls_alone_and_for_no_other_site(self) -> None:
        browser = Client()
        browser.get("/admin/login/", secure=True)
        answer = browser.post("/admin/login/", {"username": "ada", "password": PASSWORD}, secure=True)
        assert answer.status_code == 302
        found = {
            name: (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"])
            for name, cookie in answer.cookies.items()
        }
        assert found == {
            "sessionid": (True, True, "Lax", "/"),
            # A form holds the same value: hiding it from scripts would protect nothing.
            "csrftoken": (True, "", "Lax", "/"),
            "resilience_board": (True, True, "Strict", BOARD),
        }

    def test_are_not_set_by_the_api(self, client: Client) -> None:
        for path in ("/api/categories", "/api/health", "/api/auth/token"):
            assert not Client().get(path, secure=True).cookies


class TestOtherSites:
    def test_may_read_where_they_are_named_and_never_with_cookies(
        self, client: Client, settings: Settings
    ) -> None:
        settings.CORS_ALLOWED_ORIGINS = ["https://learn.example"]
        named = client.get("/api/categories", headers={"origin": "https://learn.example"})
        assert named["Access-Control-Allow-Origin"] == "https://learn.example"
        for origin in ("https://other.example", "https://learn.example.other.example", "null"):
            answer = client.get("/api/categories", headers={"origin": origin})
            assert "Access-Control-Allow-Origin" not in answer
        assert "Access-Control-Allow-Credentials" not in named
