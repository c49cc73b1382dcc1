"""Reads in a crowd: who waits for a place, what is found after the wait, and what those get who are shed."""

from collections.abc import Iterator
from contextlib import ExitStack
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from resilience import registry
from resilience.answers.reads import ResilientReads
from resilience.primitives import Mark
from resilience.request.scope import pool
from resilience.testing import full_pool, server_role
from resilience.tiers import fresh, stored
from tests.primitives.test_bulkhead import Watch

pytestmark = pytest.mark.urls(__name__)


class ByName(BaseAuthentication):
    """Believe whoever says who they are."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        name = request.headers.get("X-Name")
        return None if name is None else (User(username=name), None)


class Ours(ResilientReads, APIView):
    authentication_classes = [ByName]
    same_for_everybody = True

    def get(self, request: Request) -> Response:
        return Response({"by": "ours"})


class Overtaken(Ours):
    """Another request stores the answer just after this one has looked for it."""

    def read_alias(self) -> str:
        key = stored.key_of(self.request._request, {}, "application/json")
        stored.keep(key, HttpResponse(b'{"by": "another"}', content_type="application/json"), Mark(1, 0))
        return super().read_alias()


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


@pool("write")
def asking(request: HttpRequest) -> HttpResponse:
    registry.breaker("database").raise_if_refusing()
    return HttpResponse("asked")


urlpatterns = [
    path("ours", Ours.as_view()),
    path("overtaken", Overtaken.as_view()),
    path("plain", plain),
    path("asking", asking),
]


@pytest.fixture(autouse=True)
def server(settings: Settings) -> Iterator[None]:
    settings.RESILIENCE = {**settings.RESILIENCE, "FALLBACK": None}
    with server_role():
        registry.store().marks.rise(version=1)
        yield
    cache.clear()
    stored.forget()
    fresh.forget()


class Reader(Thread):
    """Somebody who asks in a thread of their own."""

    def __init__(self, address: str, name: str | None = None) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._headers = {} if name is None else {"x-name": name}
        self.answer: Any = None
        self.start()

    def run(self) -> None:
        self.answer = Client().get(self._address, headers=self._headers)

    def answered(self) -> Any:
        self.join(30)
        assert self.answer is not None
        return self.answer


def all_running(name: str, stack: ExitStack) -> None:
    """Take all places of a pool, but none in its queue."""
    bulkhead = registry.bulkhead(name)
    bulkhead._on_change = Watch()
    for _ in range(bulkhead.config.running):
        stack.enter_context(bulkhead.enter())


def until_waiting(name: str, number: int = 1) -> None:
    bulkhead = registry.bulkhead(name)
    watch = bulkhead._on_change
    assert isinstance(watch, Watch)
    watch.until(lambda: bulkhead.waiting == number)


class TestPlace:
    def test_comes_free_when_the_connection_is_back_and_before_the_answer_is_stored(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        running = []
        keep = stored.keep

        def note(*args: Any) -> Any:
            running.append(registry.bulkhead("read").in_use)
            return keep(*args) if args else None

        monkeypatch.setattr(connection, "give_back", note)
        monkeypatch.setattr(stored, "keep", note)
        assert Client().get("/ours")["X-Data-Source"] == "live"
        assert running[:2] == [1, 0]


class TestWaiting:
    def test_ends_in_a_live_answer(self) -> None:
        with ExitStack() as stack:
            all_running("read", stack)
            reader = Reader("/ours")
            until_waiting("read")
        assert reader.answered()["X-Data-Source"] == "live"

    def test_ends_with_what_another_request_has_stored_meanwhile(self) -> None:
        with ExitStack() as stack:
            all_running("read", stack)
            reader = Reader("/overtaken")
            until_waiting("read")
        answer = reader.answered()
        assert (answer.json(), answer["X-Data-Source"]) == ({"by": "another"}, "cached")
        assert "degradation" not in answer.json()

    def test_is_over_when_the_breaker_opens(self) -> None:
        with ExitStack() as stack:
            all_running("read", stack)
            reader = Reader("/ours")
            until_waiting("read")
            registry.breaker("database").isolate(who="ada", why="a drill")
            answer = reader.answered()
            assert registry.bulkhead("read").rejected == 0
        assert answer.status_code == 503
        assert "live:unavailable" in answer["Cache-Status"]

    def test_of_the_signed_in_is_shorter(self) -> None:
        with ExitStack() as stack:
            all_running("read", stack)
            anonymous = Reader("/ours?page=1")
            until_waiting("read")
            ada = Reader("/ours?page=2", "ada")
            until_waiting("read", 2)
            places = registry.bulkhead("read")._places
            assert (len(places.first), len(places.usual)) == (1, 1)
        assert {one.answered()["X-Data-Source"] for one in (anonymous, ada)} == {"live"}


class TestShed:
    def test_gets_what_another_request_has_stored_meanwhile(self, client: Client) -> None:
        with full_pool("read"):
            answer = client.get("/overtaken")
        assert (answer.json(), answer["X-Data-Source"]) == ({"by": "another"}, "cached")
        assert answer["X-System-Degraded"] == "false"

    def test_gets_an_older_answer_otherwise(self, client: Client) -> None:
        client.get("/ours")
        registry.store().marks.rise(version=2)
        with full_pool("read"):
            answer = client.get("/ours")
        assert answer["X-Data-Source"] == "cached"
        assert answer["X-System-Degraded"] == "true"
        assert "live:busy" in answer["Cache-Status"]


class TestOtherViews:
    """They take their place before they begin, and nobody knows what they will ask."""

    @pytest.fixture(params=["other", "write"])
    def waiting(self, request: pytest.FixtureRequest) -> Iterator[Reader]:
        with ExitStack() as stack:
            all_running(request.param, stack)
            reader = Reader({"other": "/plain", "write": "/asking"}[request.param])
            until_waiting(request.param)
            registry.breaker("database").isolate(who="ada", why="a drill")
            yield reader
            bulkhead = registry.bulkhead(request.param)
            assert (bulkhead.in_use, bulkhead.waiting) == (bulkhead.config.running, 0)

    @pytest.mark.parametrize("waiting", ["other"], indirect=True)
    def test_that_need_no_database_answer_while_its_breaker_is_open(self, waiting: Reader) -> None:
        assert waiting.answered().content == b"plain"

    @pytest.mark.parametrize("waiting", ["write"], indirect=True)
    def test_that_need_it_are_refused_for_the_true_reason(self, waiting: Reader) -> None:
        answer = waiting.answered()
        assert answer.status_code == 503
        assert registry.bulkhead("write").rejected == 0
