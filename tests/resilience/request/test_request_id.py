"""A request's name: whose it is, where it is said, and what the logs of production look like."""

import io
import json
import logging
from collections.abc import Iterator
from copy import deepcopy
from logging.config import DictConfigurator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.test import AsyncClient, Client, RequestFactory

from resilience import registry
from resilience.request.request_id import RequestIdFilter, name_of
from resilience.request.scope import RequestScope
from resilience.testing import server_role

LOGGER = logging.getLogger("resilience.steering")


@pytest.fixture(autouse=True)
def _server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("resilience.steward.start", lambda: None)
    with server_role():
        yield


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged below `resilience`, as production's settings format it."""
    config: dict[str, Any] = deepcopy(django_settings.LOGGING)
    handler = logging.StreamHandler(io.StringIO())
    handler.addFilter(RequestIdFilter())
    handler.setFormatter(DictConfigurator(config).configure_formatter(config["formatters"]["json"]))
    logger = logging.getLogger("resilience")
    logger.addHandler(handler)
    yield handler.stream
    logger.removeHandler(handler)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class TestName:
    @pytest.mark.parametrize("given", ["abc-123", "A" * 64])
    def test_is_the_clients_own_where_it_is_well_formed(self, client: Client, given: str) -> None:
        assert client.get("/api/health", headers={"x-request-id": given})["X-Request-ID"] == given

    @pytest.mark.parametrize("given", ["", "A" * 65, "a b", 'x","level":"ERROR', "é", "a\n", "a_b"])
    def test_is_a_new_one_otherwise(self, client: Client, given: str) -> None:
        name = client.get("/api/health", headers={"x-request-id": given})["X-Request-ID"]
        assert name != given
        assert len(name) == 32

    @pytest.mark.parametrize("path", ["/api/health/live", "/api/health/ready", "/nowhere", "/metrics"])
    def test_is_on_every_answer_and_each_time_another(self, client: Client, path: str) -> None:
        assert len({client.get(path)["X-Request-ID"] for _ in range(3)}) == 3

    def test_is_on_asynchronous_answers(self) -> None:
        response = async_to_sync(AsyncClient().get)("/api/health", headers={"x-request-id": "abc"})
        assert response["X-Request-ID"] == "abc"

    def test_is_readable_by_browsers_of_other_sites(self) -> None:
        assert "X-Request-ID" in django_settings.CORS_EXPOSE_HEADERS


class TestLines:
    def test_of_a_transition_name_the_request_and_the_breaker(
        self, stream: io.StringIO, rf: RequestFactory
    ) -> None:
        with RequestScope(name_of(rf.get("/", headers={"x-request-id": "abc-1"}))):
            registry.breaker("database").isolate(who="ada", why="a drill")
        (found,) = lines(stream)
        found.pop("timestamp")
        assert found == {
            "level": "INFO",
            "logger": "resilience.breaker",
            "message": "database: CLOSED to OPEN, isolate by ada",
            "request_id": "abc-1",
            "breaker": "database",
            "before": "CLOSED",
            "after": "OPEN",
        }

    def test_outside_a_request_name_none(self, stream: io.StringIO) -> None:
        LOGGER.warning("nothing")
        assert ["request_id" in line for line in lines(stream)] == [False]

    def test_are_one_each_whatever_the_message_holds(self, stream: io.StringIO) -> None:
        LOGGER.warning("one\ntwo %s", "three\r\nfour")
        assert [line["message"] for line in lines(stream)] == ["one\ntwo three\r\nfour"]

    def test_have_the_traceback_inside(self, stream: io.StringIO) -> None:
        LOGGER.error("it failed", exc_info=ConnectionError("gone"))
        (line,) = lines(stream)
        assert "ConnectionError: gone" in line["exc_info"]

    def test_do_not_hold_the_request(self, stream: io.StringIO, rf: RequestFactory) -> None:
        LOGGER.warning("Not Found", extra={"request": rf.get("/?token=secret"), "status_code": 404})
        (line,) = lines(stream)
        assert line["status_code"] == 404
        assert "secret" not in stream.getvalue()

    def test_are_production_s(self) -> None:
        """The suite's settings are production's: DEBUG is off."""
        config: dict[str, Any] = django_settings.LOGGING
        console = config["handlers"]["console"]
        assert (console["formatter"], console["filters"]) == ("json", ["request_id"])
