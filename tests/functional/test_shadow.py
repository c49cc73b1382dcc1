"""A site in shadow is as one without the app while its database is frozen or away, and tells what it lost."""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.faultproxy import FaultProxy
from tests.patience import ROOM
from tests.servers import PostgresServer
from tests.servers.process import ServerProcess

ROOT = Path(__file__).parents[2]

_SITE = """
import os, sys
from urllib.parse import urlsplit

kind, port, database, folder = sys.argv[1:]
shadow = kind == "shadow"
parts = urlsplit(database)

from django.conf import settings
from resilience.defaults import BREAKERS

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    BASE_DIR=folder,
    DATABASES={
        "default": {
            "ENGINE": "resilience.db.postgresql" if shadow else "django.db.backends.postgresql",
            "NAME": parts.path.strip("/"),
            "USER": parts.username,
            "PASSWORD": parts.password,
            "HOST": parts.hostname,
            "PORT": parts.port,
            "CONN_MAX_AGE": 60,
        },
    },
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"] + ["resilience"] * shadow,
    MIDDLEWARE=["resilience.middleware.ResilienceMiddleware"] * shadow,
    RESILIENCE={
        "NAMESPACE": "shadow",
        "DIR": folder + "/store",
        "SHADOW": True,
        "BREAKERS": {"database": BREAKERS["database"] | {"recovery_timeout": 1.0}},
        "CHORES": {},
    },
    ROOT_URLCONF="urls",
    SECRET_KEY="x" * 50,
)
import django

django.setup()
from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.urls import path

def read(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 6 * 7")
        return HttpResponse(str(cursor.fetchone()[0]))

def alive(request):
    return HttpResponse("alive")

def report(request):
    from resilience.observe import shadow
    return JsonResponse(shadow.report())

urls = type(sys)("urls")
urls.urlpatterns = [path("read", read), path("alive", alive), path("report", report)]
sys.modules["urls"] = urls

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

server = ThreadedWSGIServer(("127.0.0.1", int(port)), WSGIRequestHandler)
server.set_app(get_wsgi_application())
server.serve_forever()
"""


class Answer(NamedTuple):
    status: int
    body: str
    headers: dict[str, str]
    seconds: float


class Site(ServerProcess):
    """One view over one database, with the app in shadow or without it."""

    def __init__(self, kind: str, database: str) -> None:
        super().__init__()
        self._arguments = (kind, str(self.port), database, str(self.directory))

    def command(self) -> list[str | Path]:
        return [sys.executable, "-c", _SITE, *self._arguments]

    def environment(self) -> dict[str, str]:
        own = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return own | {"PYTHONPATH": str(ROOT), "RESILIENCE_ROLE": "server"}

    def answers(self) -> bool:
        try:
            return self.get("/alive").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def get(self, path: str) -> Answer:
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body, headers = response.read().decode(), dict(response.getheaders())
            return Answer(response.status, body, headers, time.monotonic() - began)
        finally:
            connection.close()

    def breaker(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/report").body)["breakers"][0]
        return found

    def would_be(self, state: str) -> dict[str, Any]:
        """Return what is told of the breaker once it would be in this state: the steward's pings find out."""
        deadline = time.monotonic() + 20
        while (found := self.breaker())["wouldBe"] != state:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return found


class Both(NamedTuple):
    plain: Site
    shadow: Site

    def get(self) -> tuple[Answer, Answer]:
        """Ask both sites at once."""
        with ThreadPoolExecutor(2) as at_once:
            plain, shadow = at_once.map(lambda site: site.get("/read"), self)
        return plain, shadow


@pytest.fixture(scope="module")
def proxy(postgres: PostgresServer) -> Iterator[FaultProxy]:
    with FaultProxy(postgres.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def sites(postgres: PostgresServer, proxy: FaultProxy) -> Iterator[Both]:
    database = postgres.url.replace(f":{postgres.port}", f":{proxy.port}")
    with Site("plain", database) as plain, Site("shadow", database) as shadow:
        yield Both(plain, shadow)


class TestInShadow:
    def test_a_frozen_database_is_waited_for_as_without_the_app_and_the_wait_is_told(
        self, sites: Both, proxy: FaultProxy
    ) -> None:
        assert [answer.body for answer in sites.get()] == ["42", "42"]
        before = sites.shadow.would_be("CLOSED")
        with ThreadPoolExecutor(1) as beside:
            proxy.set("silent")
            try:
                first = beside.submit(sites.get)
                sites.shadow.would_be("OPEN")
                thaw = threading.Timer(2.5, proxy.set, ["pass"])
                thaw.start()
                second = sites.get()
                thaw.join()
                first_answers = first.result()
            finally:
                proxy.set("pass")
        for plain, shadow in (first_answers, second):
            assert (plain.status, shadow.status) == (200, 200)
            assert plain.body == shadow.body == "42"
            assert shadow.seconds == pytest.approx(plain.seconds, abs=0.5 + ROOM)
            assert shadow.seconds > 2.3  # longer than any deadline
            assert shadow.headers["X-Circuit-Breaker-DB"] == "CLOSED"
            assert shadow.headers["X-System-Degraded"] == "false"
        told = sites.shadow.breaker()
        assert told["opened"] - before["opened"] == 1
        assert (told["refused"] - before["refused"], told["failed"] - before["failed"]) == (1, 1)
        assert told["cut"] - before["cut"] >= 1
        assert told["secondsSpared"] - before["secondsSpared"] > 2.3

    def test_a_database_that_refuses_ends_a_request_as_without_the_app(
        self, sites: Both, proxy: FaultProxy
    ) -> None:
        proxy.set("refuse")
        try:
            answers = [sites.get() for _ in range(3)]
        finally:
            proxy.set("pass")
        for plain, shadow in answers:
            assert (plain.status, shadow.status) == (500, 500)
            assert plain.body == shadow.body
            assert shadow.seconds == pytest.approx(plain.seconds, abs=0.5 + ROOM)
