"""Resetting and looking at breakers by API."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from resilience import registry
from resilience.journal.files import journal
from resilience.primitives import State
from resilience.testing import server_role

TOKEN = "0123456789abcdef" * 2
RESET = "/api/admin/reset-circuit-breakers"
LIST = "/api/admin/circuit-breakers"


@pytest.fixture(autouse=True)
def _server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.OPS_TOKEN = TOKEN
    monkeypatch.setattr("resilience.steward.start", lambda: None)
    with server_role():
        for name in ("database", "cache"):
            registry.breaker(name).isolate(who="ada", why="a drill")
        yield


@pytest.fixture
def operator() -> Client:
    return Client(headers={"authorization": f"Bearer {TOKEN}"})


def states() -> dict[str, State]:
    return {name: breaker.shown() for name, breaker in registry.breakers().items()}


class TestReset:
    def test_of_those_that_are_named(self, operator: Client) -> None:
        response = operator.post(RESET, {"breakers": ["cache"]}, content_type="application/json")
        assert (response.status_code, response.json()["reset"]) == (200, ["cache"])
        assert (states()["cache"], states()["database"]) == (State.CLOSED, State.OPEN)

    @pytest.mark.parametrize("body", ["", "{}", '{"breakers": []}'])
    def test_of_all_without_names(self, operator: Client, body: str) -> None:
        response = operator.generic("POST", f"{RESET}/", body, "application/json")
        assert response.json()["reset"] == list(registry.breakers())
        assert set(states().values()) == {State.CLOSED}
        assert response["Cache-Control"] == "no-store"

    def test_is_written_down_with_who_and_why(self, operator: Client) -> None:
        operator.post(RESET, {"breakers": ["cache"], "reason": "it is back"}, content_type="application/json")
        (entry,) = [entry for entry in journal().entries() if entry["kind"] == "reset"]
        assert (entry["breaker"], entry["who"], entry["why"]) == ("cache", "OPS_TOKEN", "it is back")

    def test_of_an_unknown_one_names_the_known_and_resets_none(self, operator: Client) -> None:
        response = operator.post(RESET, {"breakers": ["cache", "caché"]}, content_type="application/json")
        assert response.status_code == 400
        (error,) = response.json()["errors"]
        assert error["pointer"] == "#/breakers/1"
        assert error["allowed"] == ["database", "cache", "auth", "external_api"]
        assert states()["cache"] is State.OPEN

    @pytest.mark.parametrize(
        "body", ['{"breakers": ', '["cache"]', '{"breakers": "cache"}', '{"breakers": [1, null]}', "null"]
    )
    def test_of_nonsense_is_refused(self, operator: Client, body: str) -> None:
        response = operator.post(RESET, body, content_type="application/json")
        assert response.status_code == 400
        assert response["Content-Type"] == "application/problem+json"
        assert states()["cache"] is State.OPEN

    def test_of_a_busy_store_is_to_be_asked_again(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("resilience.operate.orders._PATIENCE", 0.0)
        monkeypatch.setattr(registry.store().lock, "take", lambda *_: None)
        response = operator.generic("POST", RESET)
        assert response.status_code == 503
        assert 1 <= int(response["Retry-After"]) <= 3

    @pytest.mark.parametrize("body", ["breakers=cache&reason=x", "breakers=cache"])
    def test_takes_a_form_as_curl_sends_it(self, operator: Client, body: str) -> None:
        kind = "application/x-www-form-urlencoded"
        assert operator.post(RESET, body, content_type=kind).json()["reset"] == ["cache"]

    @pytest.mark.parametrize("body", ['{"breakers":["cache"]}', "breaker=cache"])
    def test_of_a_misspelt_member_resets_none(self, operator: Client, body: str) -> None:
        kind = "application/x-www-form-urlencoded"
        assert operator.post(RESET, body, content_type=kind).status_code == 400
        assert states()["cache"] is State.OPEN

    def test_of_one_that_is_named_in_the_address_resets_none(self, operator: Client) -> None:
        response = operator.post(f"{RESET}?breakers=cache")
        assert (response.status_code, response.json()["errors"][0]["parameter"]) == (400, "breakers")
        assert states()["database"] is State.OPEN

    def test_is_no_link(self, operator: Client) -> None:
        assert operator.get(RESET).status_code == 405


class TestList:
    def test_shows_each_breaker_with_its_order(self, operator: Client) -> None:
        found = {one["name"]: one for one in operator.get(LIST).json()["breakers"]}
        assert list(found) == list(registry.breakers())
        assert (found["cache"]["state"], found["cache"]["isolated"]) == ("OPEN", True)
        assert found["cache"]["override"]["who"] == "ada"
        assert found["auth"]["override"] is None


class TestSchema:
    def test_has_all_three_addresses(self, client: Client) -> None:
        schema = json.loads(client.get("/api/schema", headers={"accept": "application/json"}).content)
        assert {"/api/health", LIST, RESET} <= set(schema["paths"])
        body = schema["paths"][RESET]["post"]["requestBody"]
        assert "required" not in body or not body["required"]
