"""What every response carries, and what becomes of an outage that no view caught."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from psycopg.errors import AdminShutdown

from resilience import conf, middleware, registry
from resilience.primitives import BreakerOpenError
from resilience.problems import BUSY, UNAVAILABLE, exception_handler
from resilience.registry import Registry
from resilience.request import shed
from resilience.testing import full_pool, server_role

HEADERS = {
    "X-Database-Status": "CLOSED",
    "X-Cache-Status": "CLOSED",
    "X-Circuit-Breaker-DB": "CLOSED",
    "X-Circuit-Breaker-Cache": "CLOSED",
    "X-Circuit-Breaker-Auth": "CLOSED",
    "X-Circuit-Breaker-External-API": "CLOSED",
    "X-System-Degraded": "false",
}


class BrokenMiddleware:
    """Stand for the sessions' middleware, whose queries fail before and after the view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        raise OperationalError from AdminShutdown()


@pytest.fixture(autouse=True)
def _site(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.resilience.outage_urls"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setattr("resilience.steward.start", lambda: None)  # no threads that outlive the test
    with server_role() as fresh:
        yield fresh


@pytest.fixture
def quiet_client() -> Client:
    return Client(raise_request_exception=False)


class TestAProcessThatIsNoServer:
    def test_says_once_that_nothing_is_guarded(self, caplog: pytest.LogCaptureFixture) -> None:
        middleware._say_that_nothing_is_guarded.cache_clear()
        for _ in range(2):
            middleware.ResilienceMiddleware(lambda request: HttpResponse())
        (record,) = caplog.records
        assert "Set RESILIENCE_ROLE=server" in record.message

    def test_a_server_says_nothing(self, server: Registry, caplog: pytest.LogCaptureFixture) -> None:
        middleware._say_that_nothing_is_guarded.cache_clear()
        middleware.ResilienceMiddleware(lambda request: HttpResponse())
        assert caplog.records == []


class TestHeaders:
    @pytest.mark.parametrize(
        "path", ["/api/left", "/nowhere", "/api/nowhere", "/api/lost", "/api/health/live"]
    )
    def test_are_on_every_response(self, server: Registry, quiet_client: Client, path: str) -> None:
        response = quiet_client.get(path)
        assert {name: response.get(name) for name in HEADERS} == HEADERS

    def test_are_on_the_answer_to_a_wrong_host(self, server: Registry, quiet_client: Client) -> None:
        response = quiet_client.get("/api/left", headers={"host": "elsewhere.example"})
        assert response.status_code == 400
        assert response["X-Circuit-Breaker-DB"] == "CLOSED"

    def test_say_that_a_breaker_is_open(self, server: Registry, client: Client) -> None:
        registry.breaker("database").isolate(who="ada", why="a drill")
        response = client.get("/api/left")
        assert response["X-Circuit-Breaker-DB"] == "OPEN"
        assert response["X-Database-Status"] == "OPEN"
        assert response["X-Cache-Status"] == "CLOSED"
        assert response["X-System-Degraded"] == "true"

    def test_are_readable_by_browsers_of_other_sites(self, settings: Any) -> None:
        assert set(HEADERS) <= set(settings.CORS_EXPOSE_HEADERS)


class TestLiveness:
    def test_is_answered_before_the_host_is_checked(self, server: Registry, client: Client) -> None:
        response = client.get("/api/health/live", headers={"host": "10.1.2.3"})
        assert response.status_code == 200
        assert response.json() == {"status": "alive"}

    def test_is_answered_before_a_redirect_to_https(
        self, server: Registry, client: Client, settings: Any
    ) -> None:
        settings.SECURE_SSL_REDIRECT = True
        assert client.get("/api/health/live").status_code == 200
        assert client.get("/api/left").status_code == 301

    def test_is_answered_while_every_pool_is_full(self, server: Registry, client: Client) -> None:
        with ExitStack() as stack:
            for name in conf.bulkheads():
                stack.enter_context(full_pool(name))
            assert client.get("/api/left").status_code == 503
            assert client.get("/api/health/live").status_code == 200


class TestOutage:
    def test_is_a_problem_under_the_api(self, server: Registry, client: Client) -> None:
        response = client.get("/api/lost")
        assert response.status_code == 503
        assert response["Content-Type"] == "application/problem+json"
        assert 1 <= int(response["Retry-After"]) <= 3
        assert response.json()["status"] == 503
        assert response.json()["reason"] == response["X-Degraded-Reason"] == "unavailable"

    def test_is_a_readable_page_elsewhere(self, server: Registry, client: Client) -> None:
        response = client.get("/lost")
        assert response.status_code == 503
        assert 1 <= int(response["Retry-After"]) <= 3
        assert "Back in a moment" in response.content.decode()
        assert "is not answering" in response.content.decode()

    def test_in_another_middleware_is_a_503_too(
        self, server: Registry, quiet_client: Client, settings: Any
    ) -> None:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.BrokenMiddleware"]
        assert quiet_client.get("/api/left").status_code == 503

    def test_says_when_the_breaker_lets_through_again(self, server: Registry, client: Client) -> None:
        registry.breaker("database").isolate(who="ada", why="a drill")
        assert 15 <= int(client.get("/api/lost")["Retry-After"]) <= 22

    def test_is_also_a_deadlock_that_another_transaction_won(self, server: Registry, client: Client) -> None:
        assert client.get("/api/deadlock").status_code == 503

    def test_is_not_a_missing_table(self, server: Registry, quiet_client: Client) -> None:
        assert quiet_client.get("/api/bug").status_code == 500

    def test_is_a_503_in_an_async_view(self, server: Registry, async_client: AsyncClient) -> None:
        response = async_to_sync(async_client.get)("/api/lost-async")
        assert response.status_code == 503
        assert response["X-Circuit-Breaker-DB"] == "CLOSED"


class TestPools:
    def test_a_full_one_is_a_503(self, server: Registry, client: Client) -> None:
        with full_pool("other"):
            response = client.get("/api/left")
        assert response.status_code == 503
        assert 1 <= int(response["Retry-After"]) <= 3
        assert response.json()["reason"] == response["X-Degraded-Reason"] == "busy"
        assert response.json()["detail"] == BUSY
        assert registry.store().counters.totals()["shed", "other", "busy"] == 1
        assert shed.reads_lately() == ["other"]

    def test_a_write_that_found_none_says_that_nothing_was_stored(
        self, server: Registry, client: Client
    ) -> None:
        with full_pool("other"):
            problem = client.post("/api/sent").json()
            page = client.post("/lost")
        assert (problem["reason"], problem["outcome"]) == ("busy", "not_stored")
        assert problem["detail"] == f"{BUSY} Nothing was stored."
        assert page["X-Degraded-Reason"] == "busy"
        assert "The site is busy" in page.content.decode()
        assert "is not answering" not in page.content.decode()

    def test_are_not_asked_for_a_view_that_takes_none(self, server: Registry, client: Client) -> None:
        with full_pool("other"):
            assert client.get("/api/poolless").status_code == 200

    def test_that_nobody_has_declared_are_an_error_that_names_those_there_are(
        self, server: Registry, client: Client
    ) -> None:
        with pytest.raises(LookupError, match=r"raed.*read"):
            client.get("/api/misspelt")

    @pytest.mark.parametrize("path", ["/api/left", "/api/lost", "/api/bug"])
    def test_get_their_place_back_however_the_request_ends(
        self, server: Registry, quiet_client: Client, path: str
    ) -> None:
        quiet_client.get(path)
        assert registry.bulkhead("other").in_use == 0


class TestThreads:
    def test_are_counted_as_they_serve(self, server: Registry, client: Client, settings: Any) -> None:
        settings.WEB_THREADS = None
        assert registry.threads().may_wait_locked()  # nobody knows yet
        client.get("/api/left")
        assert not registry.threads().may_wait_locked()  # the only one stays free

    def test_have_no_limit_under_asgi(
        self, server: Registry, async_client: AsyncClient, settings: Any
    ) -> None:
        settings.WEB_THREADS = 1
        assert not registry.threads().may_wait_locked()
        async_to_sync(async_client.get)("/api/lost-async")
        assert registry.threads().may_wait_locked()


class TestBudget:
    def test_starts_with_the_request(self, server: Registry, client: Client) -> None:
        assert 1.5 < client.get("/api/left").json()["left"] <= 2.0

    def test_is_none_where_nobody_votes(self, client: Client) -> None:
        assert client.get("/api/left").json() == {"left": None}


def test_a_refusal_that_no_view_caught_is_a_503(server: Registry) -> None:
    from resilience.db.outages import is_outage

    registry.breaker("database").isolate(who="ada", why="a drill")
    with pytest.raises(BreakerOpenError) as refusal:
        registry.breaker("database").admit()
    assert is_outage(refusal.value)


def test_a_refusal_is_told_to_clients_in_a_sentence_and_not_in_the_breakers_word(server: Registry) -> None:
    registry.breaker("database").isolate(who="ada", why="a drill")
    with pytest.raises(BreakerOpenError) as refusal:
        registry.breaker("database").admit()
    response = exception_handler(refusal.value, {})
    assert response is not None
    assert json.loads(response.content)["detail"] == UNAVAILABLE
    assert 15 <= int(response["Retry-After"]) <= 22
