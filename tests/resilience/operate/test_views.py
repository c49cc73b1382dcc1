"""Resetting and looking at breakers by API."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from resilience import registry
from resilience.journal.files import journal
from resilience.operate import reset
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

    @pytest.mark.parametrize("body", ["", "{}", '{"breakers": []}', "\ufeff{}"])
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
        assert error["allowed"] == list(registry.breakers())
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

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ("null", {"#": "Invalid data. Expected a dictionary, but got nothing."}),
            ('{"breakers": null}', {"#/breakers": "This field may not be null."}),
            ('{"breakers": "cache"}', {"#/breakers": 'Expected a list of items but got type "str".'}),
            (
                json.dumps({"breakers": ["cache", True, " ", "x" * 65, "\0"]}),
                {
                    "#/breakers/1": "Not a valid string.",
                    "#/breakers/2": "This field may not be blank.",
                    "#/breakers/3": "Ensure this field has no more than 64 characters.",
                    "#/breakers/4": "Null characters are not allowed.",
                },
            ),
            (
                json.dumps({"breakers": ["cache"] * 65}),
                {"#/breakers": "Ensure this field has no more than 64 elements."},
            ),
            (
                json.dumps({"reason": "x" * 201, "a/b": 1}),
                {
                    "#/reason": "Ensure this field has no more than 200 characters.",
                    "#/a~1b": "There is no such member. There are: breakers, reason.",
                },
            ),
        ],
    )
    def test_points_at_each_member_that_is_wrong(
        self, operator: Client, body: str, wrong: dict[str, str]
    ) -> None:
        response = operator.post(RESET, body, content_type="application/json")
        assert response.status_code == 400
        assert {error["pointer"]: error["detail"] for error in response.json()["errors"]} == wrong
        assert states()["cache"] is State.OPEN

    @pytest.mark.parametrize(
        ("body", "kind", "coding", "status"),
        [
            ("<all/>", "text/xml", "identity", 415),
            ("{}", "application/json", "gzip", 415),
            ("x" * 1_100_000, "application/json", "identity", 413),
            ("x" * 1_100_000, "application/x-www-form-urlencoded", "identity", 413),
            ('{"reason": NaN}', "application/json", "identity", 400),
            ('{"reason": "\\ud800"}', "application/json", "identity", 400),
        ],
    )
    def test_takes_no_body_of_another_kind(
        self, operator: Client, body: str, kind: str, coding: str, status: int
    ) -> None:
        response = operator.post(RESET, body, kind, headers={"content-encoding": coding})
        assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")
        assert states()["cache"] is State.OPEN

    def test_takes_no_body_of_no_kind(self, operator: Client) -> None:
        response = operator.generic("POST", RESET, "x", "", headers={"content-type": ""})
        assert response.status_code == 415

    def test_without_a_body_takes_any_type(self, operator: Client) -> None:
        assert operator.generic("POST", RESET, "", "text/xml").status_code == 200

    def test_is_no_link(self, operator: Client) -> None:
        assert operator.get(RESET).status_code == 405


class TestList:
    def test_shows_each_breaker_with_its_order(self, operator: Client) -> None:
        found = {one["name"]: one for one in operator.get(LIST).json()["breakers"]}
        assert list(found) == list(registry.breakers())
        assert (found["cache"]["state"], found["cache"]["isolated"]) == ("OPEN", True)
        assert found["cache"]["override"]["who"] == "ada"
        assert found["auth"]["override"] is None


class TestEachAddress:
    @pytest.mark.parametrize(
        ("address", "allowed"),
        [
            ("/api/health", "GET, HEAD, OPTIONS"),
            (LIST, "GET, HEAD, OPTIONS"),
            ("/api/admin/history", "GET, HEAD, OPTIONS"),
            (RESET, "POST, OPTIONS"),
        ],
    )
    def test_names_its_methods_and_refuses_others(self, operator: Client, address: str, allowed: str) -> None:
        for method in ("PUT", "DELETE"):
            response = operator.generic(method, address)
            assert (response.status_code, response["Allow"]) == (405, allowed)
            assert response.json()["detail"] == f'Method "{method}" not allowed.'
        told = operator.options(address)
        assert (told.status_code, told["Allow"], told.content) == (204, allowed, b"")

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
    def test_tells_nobody_else_more_than_that(self, client: Client, method: str) -> None:
        for address in (LIST, RESET, "/api/admin/history"):
            assert client.generic(method, address).status_code == 401

    @pytest.mark.parametrize(
        ("accept", "status"),
        [("application/json; indent=4", 200), ("text/html, */*;q=0.1", 200), ("text/html", 406), ("", 200)],
    )
    def test_answers_in_json_alone(self, operator: Client, accept: str, status: int) -> None:
        for address in ("/api/health", LIST):
            response = operator.get(address, headers={"accept": accept})
            assert (response.status_code, response["Cache-Control"]) == (status, "no-store")

    def test_answers_a_head_as_a_get_without_its_body(self, operator: Client) -> None:
        response = operator.head(LIST)
        assert (response.status_code, response.content) == (200, b"")


class TestSchema:
    @pytest.fixture
    def schema(self, client: Client) -> dict[str, Any]:
        found: dict[str, Any] = client.get("/api/schema", headers={"accept": "application/json"}).json()
        return found

    def test_has_all_addresses_with_who_may_ask(self, schema: dict[str, Any]) -> None:
        steered = {LIST: "get", "/api/admin/history": "get", RESET: "post"}
        for address, method in steered.items():
            assert schema["paths"][address][method]["security"] == [{"bearer": []}, {}]
        assert "security" not in schema["paths"]["/api/health"]["get"]
        assert "requestBody" not in schema["paths"][LIST]["get"]
        assert "required" not in schema["paths"][RESET]["post"]["requestBody"]

    def test_says_what_health_holds(self, schema: dict[str, Any], client: Client) -> None:
        says = schema["components"]["schemas"]["Health"]
        assert set(says["properties"]) == set(says["required"]) == set(client.get("/api/health").json())
        assert says["properties"]["status"] == {"$ref": "#/components/schemas/StatusEnum"}
        assert schema["components"]["schemas"]["StatusEnum"]["enum"] == ["healthy", "degraded"]

    def test_says_what_a_reset_takes(self, schema: dict[str, Any]) -> None:
        content = schema["paths"][RESET]["post"]["requestBody"]["content"]
        assert set(content) == {"application/json", *reset.FORMS}
        assert set(schema["components"]["schemas"]["ResetRequest"]["properties"]) == set(reset.MEMBERS)
