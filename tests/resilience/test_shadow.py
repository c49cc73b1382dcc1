"""In shadow each guard behaves as if it were not there: what fails is raised, what is slow is waited for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
import requests
from django.core.cache import caches
from django.core.cache.backends.memcached import PyMemcacheCache
from django.db import OperationalError
from django.test import Client
from django_redis.exceptions import ConnectionInterrupted
from pytest_django import Settings

from resilience import registry
from resilience.auth import guarded_call
from resilience.cache import ResilientCache
from resilience.cache.calls import Calls
from resilience.cache.memcached import for_memcached
from resilience.http import GuardedSession
from resilience.observe import shadow
from resilience.primitives import DeadlineExceededError, Outcome, RejectedError, State, current_deadline
from resilience.registry import Registry
from resilience.testing import server_role
from tests.servers.process import free_port
from zenow.settings.resilience import RESILIENCE


@pytest.fixture
def server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setattr("resilience.steward.start", lambda: None)  # no threads that outlive the test
    settings.RESILIENCE = RESILIENCE | {"SHADOW": True, "DEADLINES": {"read": 0.2, "http_total": 0.15}}
    settings.ROOT_URLCONF = "tests.resilience.outage_urls"
    with server_role() as fresh:
        yield fresh


def told(name: str) -> dict[str, Any]:
    by_name: dict[str, dict[str, Any]] = {one["name"]: one for one in shadow.report()["breakers"]}
    return by_name[name]


class TestARequest:
    @pytest.mark.parametrize("path", ["/lost", "/api/lost", "/api/deadlock"])
    def test_that_an_outage_ends_is_raised_as_without_the_app(self, server: Registry, path: str) -> None:
        with pytest.raises(OperationalError):
            Client().get(path)
        assert Client(raise_request_exception=False).get(path).status_code == 500

    def test_has_no_deadline_and_keeps_its_headers(self, server: Registry) -> None:
        response = Client().get("/api/left")
        assert response.json() == {"left": None}
        assert (response["X-System-Degraded"], response["X-Circuit-Breaker-DB"]) == ("false", "CLOSED")
        assert "X-Request-ID" in response

    def test_is_answered_by_nobody_else(self, server: Registry) -> None:
        """OPTIONS, errors and large bodies are Django's."""
        client = Client(raise_request_exception=False)
        assert "Cache-Control" not in client.get("/nowhere")
        assert client.post("/api/sent", "x" * 3_000_000, content_type="text/plain").status_code == 200

    def test_finds_a_place_in_a_pool_that_is_full(self, server: Registry) -> None:
        pool = registry.bulkhead("other")
        entered = [pool.enter() for _ in range(pool.config.running + pool.config.waiting)]
        for place in entered:
            place.__enter__()
        assert Client().get("/api/left").status_code == 200
        assert shadow.report()["pools"]["other"] == 1
        for place in entered:
            place.__exit__(None, None, None)

    def test_that_took_longer_than_its_budget_is_counted(
        self, server: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pool = registry.bulkhead("other")
        usual = pool._changed

        def slow() -> None:
            time.sleep(0.15)
            usual()

        monkeypatch.setattr(pool, "_changed", slow)
        Client().get("/api/left")
        found = shadow.report()["requests"]["request read"]
        assert (found["cut"], found["secondsSpared"] > 0.0) == (1, True)


class TestTheCache:
    @pytest.fixture
    def cache(self, server: Registry) -> ResilientCache:
        options = {"INNER": "django_redis.cache.RedisCache", "BREAKER": "cache"}
        return ResilientCache(f"redis://127.0.0.1:{free_port()}/0", {"OPTIONS": options})

    def test_raises_what_its_server_raises_also_when_it_would_be_refused(self, cache: ResilientCache) -> None:
        for _ in range(6):
            with pytest.raises((ConnectionInterrupted, redis.ConnectionError), match="refused"):
                cache.get("key")
        assert told("cache")["wouldBe"] == "OPEN"
        assert (told("cache")["refused"], told("cache")["failed"]) == (1, 1)

    def test_answers_as_ever_while_it_is_there(self, server: Registry) -> None:
        caches["default"].set("key", {"a": 1})
        assert caches["default"].get("key") == {"a": 1}


class TestAPartner:
    @pytest.fixture
    def slow(self) -> Iterator[str]:
        """A partner that takes 0.4 s, which is more than its deadline."""
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def answer() -> None:
                client, _ = listener.accept()
                with client:
                    client.recv(4096)
                    time.sleep(0.4)
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

            thread = threading.Thread(target=answer)
            thread.start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
            thread.join()

    def test_is_waited_for_and_the_wait_is_counted(self, server: Registry, slow: str) -> None:
        assert GuardedSession("external_api").get(slow).json() == {}
        assert told("external_api")["cut"] == 1
        assert 0.1 < told("external_api")["secondsSpared"] < 5.0

    def test_fails_as_it_fails(self, server: Registry) -> None:
        for _ in range(7):
            with pytest.raises(requests.ConnectionError):
                GuardedSession("external_api").get("http://127.0.0.1:9/")
        assert (told("external_api")["wouldBe"], told("external_api")["refused"]) == ("OPEN", 2)


class TestSlowness:
    """Five calls that are later than their limit open what they would have opened if they were cut."""

    def test_of_a_partner(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

            def answer() -> None:
                with suppress(OSError):
                    while True:
                        client, _ = listener.accept()
                        with client, suppress(OSError):
                            client.recv(4096)
                            time.sleep(0.15)
                            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

            thread = threading.Thread(target=answer)
            thread.start()
            try:
                found = opened_by(
                    settings,
                    "external_api",
                    lambda: GuardedSession("external_api", total=0.05).get(url),
                )
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()
        assert found == (True, True)

    def test_of_sign_in(self, settings: Settings) -> None:
        def ask() -> None:
            time.sleep(0.06)
            if (left := current_deadline()) is not None and left.expired:
                raise DeadlineExceededError

        assert opened_by(settings, "auth", lambda: guarded_call(ask)) == (True, True)

    def test_of_the_cache(self, settings: Settings) -> None:
        def ask() -> None:
            time.sleep(0.06)
            if registry.enforces():
                raise redis.TimeoutError  # as its client does after the limit

        assert opened_by(settings, "cache", lambda: Calls("cache").make("get", ask, None)) == (True, True)


def opened_by(settings: Settings, name: str, call: Callable[[], object]) -> tuple[bool, bool]:
    """Tell whether eight calls open the breaker on a guarded site, and whether they would in shadow."""
    found = []
    for hidden in (False, True):
        limits = {"write": 0.05, "cache": 0.05}
        settings.RESILIENCE = RESILIENCE | {"SHADOW": hidden, "DEADLINES": limits}
        with server_role():
            for _ in range(8):
                with suppress(RejectedError, DeadlineExceededError, requests.RequestException):
                    call()
            snapshot = registry.breaker(name).snapshot()
            found.append((snapshot.would_be if hidden else snapshot.state) is State.OPEN)
    guarded, unseen = found
    return guarded, unseen


class TestTheProjectsOwnTimeOuts:
    def test_hold_for_a_partner(self, server: Registry) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            with pytest.raises(requests.ReadTimeout):
                GuardedSession("external_api").get(url, timeout=0.05)

    def test_are_the_only_ones_of_memcached(self, server: Registry) -> None:
        assert for_memcached(PyMemcacheCache, {}, "").options(Calls("cache"))["timeout"] >= 600.0
        own = for_memcached(PyMemcacheCache, {"timeout": 3.0}, "").options(Calls("cache"))
        assert own["timeout"] == 3.0


class TestABreakerOfOnesOwn:
    def test_is_in_shadow_with_the_site(self, server: Registry) -> None:
        breaker = registry.breaker("not declared")
        for _ in range(9):
            breaker.settle(breaker.admit(), Outcome.FAILURE)
        assert breaker.snapshot().would_be is State.OPEN
        assert not breaker.refuses()


def test_nothing_of_this_holds_for_a_guarded_site(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.resilience.outage_urls"
    with server_role():
        assert registry.enforces()
        assert Client().get("/lost").status_code == 503
