"""Requests made up from the schema, sound and unsound, at the running site: healthy, and in an outage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from tests.servers.site import SiteServer

OPS_TOKEN = "0123456789abcdef" * 2
JSON: Any = {"Content-Type": "application/json"}
MINT = """
from django.contrib.auth.models import User
from zenow.accounts import access
print(access.mint(User.objects.get_or_create(username="writer", is_staff=True, is_superuser=True)[0]))
"""
CONFIG = schemathesis.Config.from_dict(
    {"generation": {"deterministic": True}, "phases": {"coverage": {"enabled": False}}}
)
GENERATOR: Any = SchemaGenerator
SCHEMA = schemathesis.openapi.from_dict(GENERATOR().get_schema(public=True), config=CONFIG)
CONFORMS = [
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]
# For each operation, healthy and in an outage.
CASES = int(os.environ.get("SCHEMA_CASES", "8"))
bounded = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


class Attacked(SiteServer):
    """A site with a catalogue, and a token that may write all of it."""

    token = ""

    def __init__(self) -> None:
        super().__init__(workers=1, OPS_TOKEN=OPS_TOKEN)
        load = ["loaddata", "fixtures/categories.json", "fixtures/fields.json"]
        for command in (["migrate"], load, ["fallback", "export"]):
            ran = self.manage(*command, "--verbosity=0")
            assert ran.returncode == 0, ran.stderr
        self.token = self.manage("shell", "--verbosity=0", "-c", MINT).stdout.strip()

    def asked(self, case: schemathesis.Case[Any]) -> Any:
        """Send a made-up request, as somebody who may do everything."""
        bearer = OPS_TOKEN if case.path.startswith("/api/admin/") else self.token
        return case.call(base_url=self.url, headers={"Authorization": f"Bearer {bearer}"}, timeout=30)


@pytest.fixture(scope="module")
def site() -> Iterator[Attacked]:
    with Attacked() as site:
        yield site


@pytest.fixture(scope="class")
def outage(site: Attacked) -> Iterator[Attacked]:
    """The site while nobody may ask its database: its breakers are held open."""
    dependencies = ("database", "auth", "cache")
    assert site.manage("breakers", "isolate", *dependencies, "--reason", "an outage").returncode == 0
    stand_in = site.get("/api/fields?page_size=3")
    assert stand_in.headers["X-Data-Source"] == "static", stand_in
    assert site.post("/api/auth/token", '{"username": "x", "password": "x"}', **JSON).status == 503
    yield site
    assert site.manage("breakers", "auto", *dependencies).returncode == 0


@pytest.mark.timeout(300 + 10 * CASES)
class TestHealthy:
    @SCHEMA.parametrize()
    @bounded
    def test_answers_as_the_schema_says_and_never_with_an_error_of_ours(
        self, case: schemathesis.Case[Any], site: Attacked
    ) -> None:
        case.validate_response(site.asked(case), checks=[checks.not_a_server_error, *CONFORMS])


@pytest.mark.timeout(300 + 10 * CASES)
class TestOutage:
    @SCHEMA.parametrize()
    @bounded
    def test_says_503_and_when_to_come_back_where_it_cannot_answer(
        self, case: schemathesis.Case[Any], outage: Attacked
    ) -> None:
        response = outage.asked(case)
        case.validate_response(response, checks=CONFORMS)
        if response.status_code >= 500:
            assert response.status_code == 503
            assert int(response.headers["Retry-After"][0]) >= 1
            assert response.json()["status"] == 503
