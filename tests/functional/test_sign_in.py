"""Signing in to two worker processes: guessed at with the cache dead, and while the database is."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.patience import ROOM
from tests.servers import PostgresServer
from tests.servers.process import free_port
from tests.servers.site import SiteServer

PASSWORD = "correct horse battery"
SENTENCE = "Sign-in is not available at the moment"
HOME, ELSEWHERE = "203.0.113.9", "198.51.100.7"


class Site(SiteServer):
    """Behind a proxy on this host that ends TLS and names the client; the cache's port refuses."""

    def __init__(self, postgres: PostgresServer) -> None:
        super().__init__(
            DATABASE_URL=postgres.url,
            REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",
            TRUSTED_PROXIES="127.0.0.1",
        )

    def ask(self, method: str, path: str, body: str = "", *, client: str = HOME, **headers: str) -> Any:
        """Return (status, headers, body, seconds) of one request on a connection of its own."""
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            own = {"X-Forwarded-For": client, "X-Forwarded-Proto": "https", "Host": "localhost"}
            connection.request(method, path, body, own | headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode(), time.monotonic() - began
        finally:
            connection.close()

    def sign_in(self, password: str = PASSWORD, *, username: str = "ada", client: str = HOME) -> Any:
        body = json.dumps({"username": username, "password": password})
        return self.ask(
            "POST", "/api/auth/token", body, client=client, **{"Content-Type": "application/json"}
        )

    def refresh(self, token: str) -> Any:
        body = json.dumps({"refresh_token": token})
        return self.ask("POST", "/api/auth/token/refresh", body, **{"Content-Type": "application/json"})


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        site = Site(server)
        site.manage("migrate", "--verbosity=0").check_returncode()
        person = ["--noinput", "--username=ada", "--email=ada@example.org"]
        site.manage("createsuperuser", *person, DJANGO_SUPERUSER_PASSWORD=PASSWORD).check_returncode()
        site.manage("collectstatic", "--noinput", "--verbosity=0").check_returncode()
        yield server


@pytest.fixture
def site(database: PostgresServer) -> Iterator[Site]:
    if not database.running:
        database.start()
    with Site(database) as site:
        yield site


class TestGuessing:
    def test_is_limited_over_all_workers_and_strangers_lock_nobody_out(self, site: Site) -> None:
        statuses = [site.sign_in("wrong", username="nobody")[0] for _ in range(30)]
        assert statuses == [401] * 5 + [429] * 25

        assert site.sign_in()[0] == 200
        statuses = [site.sign_in("wrong", client=f"100.64.0.{n}")[0] for n in range(60)]
        assert statuses.count(401) == 49
        assert site.sign_in(client=ELSEWHERE)[0] == 429
        assert site.sign_in()[0] == 200


class TestDeadDatabase:
    def test_is_told_as_such_while_access_tokens_still_read(
        self, site: Site, database: PostgresServer
    ) -> None:
        token = json.loads(site.sign_in()[2])["access_token"]
        _, headers, page, _ = site.ask("GET", "/admin/login/")
        cookie = headers["Set-Cookie"].partition(";")[0]
        csrf = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        database.kill()

        status, headers, page, seconds = site.ask(
            "POST",
            "/admin/login/",
            urlencode({"username": "ada", "password": PASSWORD, "csrfmiddlewaretoken": csrf}),
            **{
                "Content-Type": "application/x-www-form-urlencoded",
                "Cookie": cookie,
                "Referer": "https://localhost/admin/login/",
            },
        )
        assert status == 503
        assert int(headers["Retry-After"]) >= 1
        assert SENTENCE in page
        assert seconds < 2.5 + ROOM

        for number in range(4):
            status, headers, body, seconds = site.sign_in(client=f"100.64.1.{number}")
            assert status == 503
            assert int(headers["Retry-After"]) >= 1
            assert SENTENCE in json.loads(body)["detail"]
            assert seconds < 2.5 + ROOM

        status, _, body, _ = site.ask("GET", "/api/auth/me", **{"Authorization": f"Bearer {token}"})
        assert (status, json.loads(body)["username"]) == (200, "ada")
        assert site.ask("GET", "/api/auth/me", **{"Authorization": "Bearer x"})[0] == 401


class TestFrozenDatabase:
    def test_holds_nobody_longer_than_the_budget(self, site: Site, database: PostgresServer) -> None:
        refresh_token = json.loads(site.sign_in()[2])["refresh_token"]
        database.freeze()
        try:
            answers = [site.sign_in(client=f"100.64.2.{number}") for number in range(8)]
            answers.append(site.refresh(refresh_token))
        finally:
            database.thaw()
        assert [status for status, *_ in answers] == [503] * 9
        assert all(SENTENCE in body for _, _, body, _ in answers)
        assert max(seconds for *_, seconds in answers) < 2.5 + ROOM
        assert max(seconds for *_, seconds in answers[-3:]) < 0.2 + ROOM / 2
