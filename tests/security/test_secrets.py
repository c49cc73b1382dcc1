"""Passwords, tokens and keys stay where they belong: in no log line, event, metric, answer or mail."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from logging.config import DictConfigurator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.test import Client
from django.utils.log import AdminEmailHandler
from pytest_django import Settings

from learn.models import Category, Course, Field
from resilience.operate import passes
from tests.security.conftest import OPS_TOKEN
from tests.servers.site import SiteServer

pytestmark = pytest.mark.django_db

PASSWORD = "correct-horse-7c1e55b0"
KEY = "idempotency-5a0c9d"
BOARD = "/admin/resilience/board/"


class Lines(logging.Handler):
    """Keep each line as production writes it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        logging_settings: Any = django_settings.LOGGING
        made = DictConfigurator({"version": 1})
        self.formatter = made.configure_formatter(dict(logging_settings["formatters"]["json"]))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Site:
    """A site whose every word is kept: answers, log lines, events, metrics, and mails of every error."""

    def __init__(self, lines: Lines, events: Path) -> None:
        self.lines = lines
        self.events = events
        self.answers: list[str] = []
        self.secrets = {
            "password": PASSWORD,
            "OPS_TOKEN": OPS_TOKEN,
            "SECRET_KEY": django_settings.SECRET_KEY,
        }
        self.browser = Client(raise_request_exception=False)

    def post(self, path: str, data: Any, **headers: str) -> Any:
        options: Any = {"headers": headers, "secure": True}
        if path.startswith("/api/"):
            options["content_type"] = "application/json"
        answer = self.browser.post(path, data, **options)
        self.answers.append(answer.content.decode())
        return answer

    def sign_in(self, password: str = PASSWORD) -> Any:
        answer = self.post("/api/auth/token", {"username": "ada", "password": password})
        if answer.status_code == 200:
            self.answers.pop()  # The one answer that is to hold them.
            self.secrets |= {name: answer.json()[name] for name in ("access_token", "refresh_token")}
        return answer

    def enter(self) -> None:
        """Sign in to the admin, and come to the board, which gives a pass."""
        self.post("/admin/login/", {"username": "ada", "password": PASSWORD})
        self.secrets |= {name: self.browser.cookies[name].value for name in ("sessionid", passes.COOKIE)}

    def told(self) -> dict[str, str]:
        """Return all that was said, by where it was said."""
        metrics = Client().get("/metrics", headers={"authorization": f"Bearer {OPS_TOKEN}"})
        assert metrics.status_code == 200
        journal = [path.read_text() for path in self.events.rglob("*") if path.is_file()]
        mails = [str(each.message()) for each in mail.outbox]
        parts = [part.content for each in mail.outbox for part in getattr(each, "alternatives", [])]
        return {
            "answers": "\n".join(self.answers),
            "log": "\n".join(self.lines.lines),
            "events": "\n".join(journal),
            "metrics": metrics.content.decode(),
            "mails": "\n".join(map(str, (*mails, *parts))),
        }

    def check(self) -> dict[str, str]:
        """Look for every secret in all that was said; return it."""
        told = self.told()
        found = [
            (name, where)
            for name, secret in self.secrets.items()
            for where, text in told.items()
            for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("="))
            if form in text
        ]
        assert found == []
        return told


@pytest.fixture
def site(server: None, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    monkeypatch.setenv("RESILIENCE_EVENTS_DIR", str(tmp_path / "events"))
    settings.ADMINS = [("", "ops@example.org")]
    user = User.objects.create_user("ada", password=PASSWORD, is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    lines, mails = Lines(), AdminEmailHandler(include_html=True)
    mails.setLevel(logging.ERROR)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    for handler in (lines, mails):
        root.addHandler(handler)
    yield Site(lines, tmp_path / "events")
    for handler in (lines, mails):
        root.removeHandler(handler)
    root.setLevel(level)


class TestOrdinaryUse:
    def test_of_signing_in_refreshing_and_signing_out_tells_nothing(self, site: Site) -> None:
        assert site.sign_in().status_code == 200
        assert site.sign_in("guess-" + PASSWORD).status_code == 401
        old = site.secrets["refresh_token"]
        fresh = site.post("/api/auth/token/refresh", {"refresh_token": old})
        assert fresh.status_code == 200
        site.answers.pop()
        site.secrets |= {"old": old, "refresh_token": fresh.json()["refresh_token"]}
        assert site.post("/api/auth/token/refresh", {"refresh_token": old}).status_code in (401, 409)
        assert site.post("/api/auth/token/refresh", {"refresh_token": "x" * 500 + old}).status_code == 400
        assert (
            site.post("/api/auth/logout", {"refresh_token": fresh.json()["refresh_token"]}).status_code == 204
        )
        for _ in range(6):
            site.sign_in()
        told = site.check()
        assert "/api/auth/token" in told["log"]  # so the log was heard

    def test_of_a_write_with_a_key_tells_nothing(self, site: Site) -> None:
        site.sign_in()
        site.secrets["key"] = KEY
        own = {"authorization": f"Bearer {site.secrets['access_token']}", "idempotency-key": KEY}
        assert site.post("/api/categories", {"title": "Arts"}, **own).status_code == 201
        assert site.post("/api/categories", {"title": "Music"}, **own).status_code == 422
        assert site.post("/api/categories", "{", **own).status_code == 400
        assert (
            site.post("/api/categories", {"title": ""}, **own | {"idempotency-key": KEY * 40}).status_code
            == 400
        )
        assert (
            site.post("/api/categories", {"title": "x"}, authorization=own["authorization"] + "x").status_code
            == 401
        )
        site.check()

    def test_of_the_ops_token_tells_nothing(self, site: Site) -> None:
        reset = "/api/admin/reset-circuit-breakers"
        assert site.post(reset, {}, authorization=f"Bearer {OPS_TOKEN}").status_code == 200
        assert site.post(reset, {}, authorization=f"Bearer {OPS_TOKEN}x").status_code == 401
        assert site.post(reset, {"reason": "x" * 300}, authorization=f"Bearer {OPS_TOKEN}").status_code == 400
        assert site.post(f"{BOARD}enter", {"token": OPS_TOKEN + "x"}).status_code == 403
        assert site.post(f"{BOARD}enter", {"token": OPS_TOKEN}).status_code == 302
        site.secrets["pass"] = site.browser.cookies[passes.COOKIE].value
        assert site.post(BOARD, {"breakers": "cache", "action": "isolate", "reason": "x"}).status_code == 302
        told = site.check()
        assert '"who":"OPS_TOKEN"' in told["events"]  # so events were written


def _sign_in(site: Site) -> Any:
    return site.sign_in()


def _refresh(site: Site) -> Any:
    return site.post("/api/auth/token/refresh", {"refresh_token": site.secrets["refresh_token"]})


def _sign_out(site: Site) -> Any:
    return site.post("/api/auth/logout", {"refresh_token": site.secrets["refresh_token"]})


def _write(site: Site) -> Any:
    own = {"authorization": f"Bearer {site.secrets['access_token']}", "idempotency-key": KEY}
    return site.post("/api/categories", {"title": "Arts"}, **own)


def _order(site: Site) -> Any:
    return site.post("/api/admin/reset-circuit-breakers", {}, authorization=f"Bearer {OPS_TOKEN}")


def _type_token(site: Site) -> Any:
    return site.post(f"{BOARD}enter", {"token": OPS_TOKEN})


def _order_at_the_board(site: Site) -> Any:
    return site.post(BOARD, {"breakers": "cache", "action": "reset"})


def _admin_sign_in(site: Site) -> Any:
    return site.post("/admin/login/", {"username": "ada", "password": PASSWORD})


class TestBugs:
    """An exception that nobody expected, wherever it comes from, with the mail that shows all variables."""

    @pytest.mark.parametrize(
        ("where", "act"),
        [
            ("django.contrib.auth.models.User.check_password", _sign_in),
            ("django.contrib.auth.models.User.check_password", _admin_sign_in),
            ("zenow.accounts.limits.Limits.hit", _sign_in),
            ("zenow.accounts.access.jwt.encode", _sign_in),
            ("zenow.accounts.refresh.RefreshFamily.save", _sign_in),
            ("zenow.accounts.views.access.mint", _refresh),
            ("zenow.accounts.refresh._digest", _refresh),
            ("zenow.accounts.refresh.stamp_is_current", _refresh),
            ("django.db.models.query.QuerySet.update", _sign_out),
            ("zenow.accounts.access.jwt.decode", _write),
            ("zenow.accounts.authentication.stamp_is_current", _write),
            ("learn.models.Category.save", _write),
            ("resilience.answers.idempotency.keep", _write),
            ("zenow.media.orjson.loads", _sign_in),
            ("zenow.media.orjson.loads", _refresh),
            ("resilience.operate.views.steer", _order),
            ("resilience.operate.permissions.constant_time_compare", _order),
            ("resilience.operate.board.views.Limits.hit", _type_token),
            ("resilience.operate.board.views.constant_time_compare", _type_token),
            ("resilience.operate.board.views.passes.give", _type_token),
            ("resilience.operate.board.views.steer", _order_at_the_board),
            ("resilience.operate.passes.signing.loads", _order_at_the_board),
            ("django.contrib.sessions.backends.db.SessionStore.load", _order_at_the_board),
            ("django.contrib.sessions.middleware.SessionMiddleware.process_request", _admin_sign_in),
            ("corsheaders.middleware.CorsMiddleware.__call__", _admin_sign_in),
        ],
    )
    def test_are_reported_without_secrets(
        self, site: Site, where: str, act: Callable[[Site], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site.sign_in()
        site.enter()
        site.secrets["key"] = KEY

        def bug(*_: object, **__: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(where, bug)
        answer = act(site)
        assert answer.status_code == 500, answer.content
        monkeypatch.undo()
        told = site.check()
        assert "RuntimeError" in told["mails"]
        assert "RuntimeError" in told["log"]


class TestPartner:
    """The partner's address may hold a key, in its path too."""

    def test_that_refuses_is_logged_without_its_address(self, site: Site, settings: Settings) -> None:
        settings.RATINGS_URL = f"http://zenow:{PASSWORD}@127.0.0.1:1/{KEY}"
        site.secrets["key"] = KEY
        category = Category.objects.create(title="Arts")
        Course.objects.create(title="Jazz", field=Field.objects.create(title="Music", category=category))

        answer = site.browser.get("/api/courses/jazz/rating", secure=True)
        site.answers.append(answer.content.decode())
        assert answer.json()["degradation"]["source"] == "none"
        assert "no rating from the partner" in site.check()["log"]


@pytest.fixture(scope="class")
def outage() -> Iterator[SiteServer]:
    """A site whose database, cache and partner are away, each behind an address with a password."""
    partner = HTTPServer(("127.0.0.1", 0), Failing)
    threading.Thread(target=partner.serve_forever, daemon=True).start()
    site = SiteServer(
        workers=1,
        DATABASE_URL=f"postgres://zenow:{PASSWORD}@127.0.0.1:1/zenow",
        REDIS_URL=f"redis://:{PASSWORD}@127.0.0.1:1/0",
        RATINGS_URL=f"http://zenow:{PASSWORD}@127.0.0.1:{partner.server_port}/{KEY}",
        OPS_TOKEN=OPS_TOKEN,
    )
    with site:
        yield site
    partner.shutdown()
    partner.server_close()


class Failing(BaseHTTPRequestHandler):
    """A partner that answers 500."""

    def do_GET(self) -> None:
        self.send_error(500)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class TestOutage:
    """Addresses hold passwords, and every exception of an outage is about an address."""

    def test_shows_no_password_of_what_is_away(self, outage: SiteServer) -> None:
        own: Any = {"Authorization": f"Bearer {OPS_TOKEN}"}
        is_json: Any = {"Content-Type": "application/json"}
        said = []
        for _ in range(4):
            for path in ("/api/courses", "/api/courses/jazz/rating", "/admin/", BOARD, "/api/admin/history"):
                said.append(outage.get(path, **own).body)
            said.append(outage.get("/api/courses/jazz/rating").body)
            body = json.dumps({"username": "ada", "password": PASSWORD})
            said.append(outage.post("/api/auth/token", body, **is_json).body)
        for path in ("/metrics", "/api/health", "/api/admin/circuit-breakers", f"{BOARD}state.json"):
            answer = outage.get(path, **own)
            assert answer.status == 200
            said.append(answer.body)
        assert '"lastError": "' in said[-1]  # so errors were seen
        for command in (
            ["health", "--json"],
            ["breakers", "list", "--json"],
            ["fallback", "status"],
            ["migrate"],
        ):
            ran = outage.manage(*command)
            said += [ran.stdout, ran.stderr]
        said += [path.read_text() for path in (outage.directory / "events").rglob("*") if path.is_file()]
        said.append(outage.log.read_text())
        assert "no rating from the partner" in said[-1]
        for secret in (PASSWORD, OPS_TOKEN, KEY, outage.variables["SECRET_KEY"]):
            assert [text for text in said if secret in text] == []
