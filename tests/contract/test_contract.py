"""What breaks the schema is noticed: in an answer, in its headers, in a request that was taken."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from tests.contract.contract import Contract
from tests.contract.exchange import Exchange
from tests.contract.plugin import ADDRESSES, ContractPlugin, published

TOKENS = {"access_token": "a", "token_type": "Bearer", "expires_in": 600, "refresh_token": "r"}
SIGN_IN = json.dumps({"username": "ada", "password": "secret"}).encode()


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract(published())


@pytest.fixture
def health(client: Client) -> Exchange:
    return Exchange.of_test_client(b"", client.get("/api/health"))


@pytest.fixture
def signed_in(health: Exchange) -> Exchange:
    """A sign-in that was taken."""
    asked = replace(health, method="POST", path="/api/auth/token", sent=SIGN_IN, sent_as="application/json")
    return replace(asked, body=json.dumps(TOKENS).encode())


def broken(contract: Contract, exchange: Exchange, *, lenient: bool = False) -> str:
    """Return what is wrong with an exchange, "" if nothing is."""
    contract.judge(exchange, lenient=lenient)
    found = "\n".join(contract.broken)
    contract.broken.clear()
    return found


def saying(exchange: Exchange, **members: Any) -> Exchange:
    """Return the exchange with these members in the answer."""
    return replace(exchange, body=json.dumps(json.loads(exchange.body) | members).encode())


class TestAnswers:
    def test_that_keep_to_the_schema_are_counted(self, contract: Contract, health: Exchange) -> None:
        before = contract.counts["GET", "/api/health", 200, "-"]
        assert broken(contract, health) == ""
        assert contract.counts["GET", "/api/health", 200, "-"] == before + 1

    def test_with_a_member_that_the_schema_does_not_name(self, contract: Contract, health: Exchange) -> None:
        assert "mood" in broken(contract, saying(health, mood="fine"))

    def test_with_a_value_that_the_schema_does_not_allow(self, contract: Contract, health: Exchange) -> None:
        assert "status" in broken(contract, saying(health, status="splendid"))

    def test_without_a_header(self, contract: Contract, health: Exchange) -> None:
        headers = {name: value for name, value in health.headers.items() if name != "x-system-degraded"}
        assert "X-System-Degraded" in broken(contract, replace(health, headers=headers))

    def test_with_a_header_that_says_something_else(self, contract: Contract, health: Exchange) -> None:
        headers = {**health.headers, "x-circuit-breaker-db": ["AJAR"]}
        assert "AJAR" in broken(contract, replace(health, headers=headers))

    def test_of_another_kind(self, contract: Contract, health: Exchange) -> None:
        headers = {**health.headers, "content-type": ["text/html"]}
        assert "text/html" in broken(contract, replace(health, headers=headers))

    def test_that_are_errors_and_no_problems(self, contract: Contract, health: Exchange) -> None:
        assert broken(contract, replace(health, status=400))
        assert "application/json" in broken(contract, replace(health, path="/api/nowhere", status=404))

    def test_of_an_operation_that_nobody_has_described(self, contract: Contract, health: Exchange) -> None:
        assert "no such operation" in broken(contract, replace(health, path="/api/secret"))

    def test_to_head_have_the_headers_alone(self, contract: Contract, health: Exchange) -> None:
        assert broken(contract, replace(health, method="HEAD", body=b"")) == ""
        assert broken(contract, replace(health, method="HEAD", body=b"", headers={}))


class TestRequests:
    def test_that_keep_to_the_schema_are_counted(self, contract: Contract, signed_in: Exchange) -> None:
        before = contract.taken
        assert broken(contract, signed_in) == ""
        assert contract.taken == before + 1

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"sent": b'{"username": "ada"}'}, "password"),
            ({"sent": json.dumps({"username": "a" * 300, "password": "b"}).encode()}, "username"),
            ({"sent_as": "text/plain"}, "text/plain"),
            ({"query": "remember=1"}, "remember"),
        ],
        ids=["without a member", "beyond a limit", "as another kind", "with another parameter"],
    )
    def test_that_were_taken_otherwise(
        self, contract: Contract, signed_in: Exchange, change: Any, said: str
    ) -> None:
        exchange = replace(signed_in, **change)
        assert said in broken(contract, exchange)
        assert broken(contract, exchange, lenient=True) == ""

    def test_that_were_refused_may_be_anything(self, contract: Contract, signed_in: Exchange) -> None:
        problem = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "No."}
        refused = replace(
            signed_in,
            sent=b"[]",
            status=400,
            body=json.dumps(problem).encode(),
            headers={**signed_in.headers, "content-type": ["application/problem+json"]},
        )
        assert broken(contract, refused) == ""


class TestPlugin:
    def test_fails_a_test_during_which_the_schema_was_broken(self, health: Exchange) -> None:
        plugin = ContractPlugin()
        plugin.hear(replace(health, path="/api/secret"))
        with pytest.raises(pytest.fail.Exception, match="no such operation"):
            plugin.judge(None)
        assert plugin.judge("a result") == "a result"


def test_all_operations_but_those_with_a_reason_are_in_the_schema() -> None:
    """Addresses of the site's URL configuration, so that a new one is missed by itself."""
    from django.urls import get_resolver

    from tests.contract.contract import UNLISTED

    patterns = {
        "/api/" + str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix("/?")
        for include in get_resolver(ADDRESSES).url_patterns
        for pattern in getattr(include, "url_patterns", [])
        if str(include.pattern) == "api/"
    }
    described = {path.replace("{slug}", "(?P<slug>[^/.]+)") for path in published()["paths"]}
    assert patterns - described - set(UNLISTED) == set()
    assert len(patterns) > 6
