"""Somebody signs in all the time, by password only as often as told, and each answer is written down."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.conf import LazySettings

from resilience.drills.sign_in import SignInError, SignIns

RIGHT = "right"


class Accounts(ThreadingHTTPServer):
    """Signs `ada` in, and gives a refresh token that works once; `down` answers what it is set to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.number = 0
        self.down: tuple[int, dict[str, str]] | None = None
        self.asked: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, body: dict[str, str]) -> tuple[int, dict[str, str], dict[str, Any]]:
        self.asked.append((path, body))
        if self.down is not None:
            return *self.down, {"detail": "down"}
        known = {
            "/token": {"username": "ada", "password": "right"},
            "/refresh": {"refresh_token": self.token},
        }
        if body != known[path]:
            return 401, {}, {"detail": "wrong"}
        self.number += 1
        return 200, {}, {"access_token": "a", "refresh_token": self.token, "expires_in": 600}

    @property
    def token(self) -> str:
        return f"refresh {self.number}"


class Handler(BaseHTTPRequestHandler):
    server: Accounts

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, headers, said = self.server.answer(self.path, body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def paths(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RESILIENCE = settings.RESILIENCE | {
        "DRILL_SIGN_IN": {"sign_in": "/token", "refresh": "/refresh"}
    }
    monkeypatch.setattr("resilience.drills.sign_in._PAUSE", 0.01)


@pytest.fixture
def accounts() -> Iterator[Accounts]:
    with Accounts() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sign_ins(accounts: Accounts, *, password: str = RIGHT) -> SignIns:
    return SignIns(url=accounts.url, user="ada", password=password)


def wait_for(person: SignIns, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(person.attempts()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestFirst:
    def test_has_tokens_when_it_has_worked(self, accounts: Accounts) -> None:
        person = sign_ins(accounts)
        person.first()
        assert (person.access_token, person.lasts) == ("a", 600)

    def test_says_why_nobody_can_sign_in(self, accounts: Accounts) -> None:
        with pytest.raises(SignInError, match="ada cannot sign in before the drill: it answers 401: wrong"):
            sign_ins(accounts, password="wrong").first()
        accounts.down = 429, {}
        with pytest.raises(SignInError, match="it answers 429: down"):
            sign_ins(accounts).first()

    def test_says_that_nobody_answers(self) -> None:
        with pytest.raises(SignInError, match="refused"):
            SignIns(url="http://127.0.0.1:9", user="ada", password="right").first()

    def test_shows_no_secret(self, accounts: Accounts) -> None:
        person = sign_ins(accounts, password="s3cret")
        assert "s3cret" not in repr(person)


class TestAttempts:
    def test_are_by_refresh_token_save_for_those_that_were_asked_for(self, accounts: Accounts) -> None:
        person = sign_ins(accounts)
        person.first()
        with person:
            wait_for(person, 3)
            person.by_password(2)
            wait_for(person, 8)
        assert [each.how for each in person.attempts()].count("password") == 2
        assert {each.status for each in person.attempts()} == {200}
        assert all(body.get("password", "right") == "right" for _, body in accounts.asked)

    def test_go_on_with_the_last_token_that_was_given(self, accounts: Accounts) -> None:
        person = sign_ins(accounts)
        person.first()
        with person:
            accounts.down = 503, {"Retry-After": "5"}
            wait_for(person, 3)
            accounts.down = 503, {}
            wait_for(person, 6)
            accounts.down = None
            wait_for(person, 9)
        seen = [(each.status, each.retry_after) for each in person.attempts()]
        assert {(503, True), (503, False)} <= set(seen)
        assert seen[-1] == (200, False)
