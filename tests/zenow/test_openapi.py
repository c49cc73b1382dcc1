"""The schema is valid, complete, and its page works without the Internet."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS

from resilience.request.response_headers import HEADERS
from tests.servers.site import ROOT


@pytest.fixture
def schema(tmp_path: Path) -> dict[str, dict[str, dict[str, dict[str, object]]]]:
    path = tmp_path / "schema.yml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", path)
    return yaml.safe_load(path.read_text())  # type: ignore[no-any-return]


# A process that has just started, as a worker has: the second schema would be made by warm code.
_ASK_IN_EIGHT_THREADS = """
import django, threading
django.setup()
from django.test import Client
statuses, all_here = [], threading.Barrier(8)

def ask():
    all_here.wait()
    client = Client(raise_request_exception=False)
    statuses.append(client.get("/api/schema?version=9&lang=de").status_code)

threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*statuses)
print(Client().get("/api/schema", headers={"Accept": "application/json"}).json()["info"]["version"])
"""


class TestFirstSchemaOfAProcess:
    def test_is_made_once_for_all_who_ask_at_that_moment(self) -> None:
        ran = subprocess.run(
            [sys.executable, "-c", _ASK_IN_EIGHT_THREADS],
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "zenow.settings.test", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        statuses, version = ran.stdout.splitlines()
        assert statuses.split() == ["200"] * 8
        assert version == "1"


class TestSchema:
    def test_is_valid_and_gives_no_warning(self, schema: dict[str, object]) -> None:
        assert not GENERATOR_STATS
        assert str(schema["openapi"]).startswith("3.")

    def test_names_each_address_once_and_without_a_trailing_slash(
        self, schema: dict[str, dict[str, object]]
    ) -> None:
        paths = set(schema["paths"])
        for name in ("categories", "fields", "courses"):
            assert {f"/api/{name}", f"/api/{name}/{{slug}}"} <= paths
        assert not [path for path in paths if path.endswith("/")]

    def test_knows_the_parameters_that_the_lists_take(
        self, schema: dict[str, dict[str, dict[str, dict[str, list[dict[str, str]]]]]]
    ) -> None:
        parameters = schema["paths"]["/api/courses"]["get"]["parameters"]
        in_query = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        assert in_query == {
            "category", "field", "level", "language", "search", "ordering", "page", "page_size",
        }  # fmt: skip

    def test_has_the_limits_of_parameters(self, schema: dict[str, Any]) -> None:
        parameters = schema["paths"]["/api/courses"]["get"]["parameters"]
        limits = {
            parameter["name"]: {
                name: limit
                for name, limit in parameter["schema"].items()
                if name in ("minimum", "maximum", "maxLength", "pattern", "default")
            }
            for parameter in parameters
            if parameter["in"] == "query"
        }
        assert limits == {
            "category": {"maxLength": 120},
            "field": {"maxLength": 120},
            "language": {"pattern": "^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$"},
            "level": {"maxLength": 50},
            "ordering": {},
            "page": {"minimum": 1, "maximum": 999_999_999, "default": 1},
            "page_size": {"minimum": 1, "maximum": 100, "default": 20},
            "search": {"maxLength": 200},
        }

    def test_describes_nothing_as_one_of_two_texts(self, schema: dict[str, Any]) -> None:
        """A generator would make a class of its own of it, that holds a text."""
        for component in schema["components"]["schemas"].values():
            for member in component.get("properties", {}).values():
                kinds = [each.get("type") for each in member.get("oneOf", ())]
                assert kinds.count("string") < 2, member

    def test_says_null_as_openapi_3_1_does(self, schema: dict[str, Any]) -> None:
        assert "nullable" not in str(schema)
        page = schema["components"]["schemas"]["PaginatedCourseList"]["properties"]
        assert page["previous"]["type"] == ["string", "null"]

    def test_has_all_members_of_an_entry_in_each_answer(self, schema: dict[str, Any]) -> None:
        course = schema["components"]["schemas"]["Course"]
        assert set(course["properties"]) - set(course["required"]) == {"degradation"}
        assert course["properties"]["url"]["type"] == ["string", "null"]

    @pytest.mark.parametrize(
        ("method", "path", "status", "header"),
        [
            ("get", "/api/courses", "503", "Retry-After"),
            ("post", "/api/auth/token", "429", "Retry-After"),
            ("get", "/api/auth/me", "401", "WWW-Authenticate"),
            ("post", "/api/courses", "201", "Location"),
            ("patch", "/api/courses/{slug}", "200", "ETag"),
        ],
    )
    def test_says_what_stands_in_a_header(
        self, schema: dict[str, Any], method: str, path: str, status: str, header: str
    ) -> None:
        response = schema["paths"][path][method]["responses"][status]
        assert response["headers"][header]["required"] is True
        kind = "application/json" if status < "400" else "application/problem+json"
        assert response["content"][kind]["schema"]

    def test_says_how_a_write_may_be_refused(
        self, schema: dict[str, dict[str, dict[str, dict[str, dict[str, object]]]]]
    ) -> None:
        course = schema["paths"]["/api/courses/{slug}"]
        assert {"409", "422", "503"} <= set(schema["paths"]["/api/courses"]["post"]["responses"])
        for method in ("put", "patch", "delete"):
            assert {"409", "412", "503"} <= set(course[method]["responses"])

    def test_describes_errors_as_problems(
        self, schema: dict[str, dict[str, dict[str, dict[str, dict[str, dict[str, object]]]]]]
    ) -> None:
        for operations in schema["paths"].values():
            for operation in operations.values():
                assert "application/problem+json" in str(operation["responses"]["default"]["content"])
        assert "Problem" in schema["components"]["schemas"]

    def test_describes_what_stands_in_for_the_partner_apart_from_the_tiers(
        self, schema: dict[str, Any]
    ) -> None:
        def described(reference: dict[str, str]) -> Any:
            return schema["components"]["schemas"][reference["$ref"].rpartition("/")[2]]

        (rating,) = schema["components"]["schemas"]["Rating"]["properties"]["degradation"]["allOf"]
        partner = described(rating)["properties"]
        assert described(partner["source"])["enum"] == ["cached", "none"]
        assert partner["as_of"]["type"] == ["string", "null"]
        tiers = schema["components"]["schemas"]["Degradation"]["properties"]
        assert tiers["source"]["enum"] == ["cached", "static", "mock"]

    def test_has_the_state_of_the_system_on_every_response(self, schema: dict[str, Any]) -> None:
        described = schema["components"]["headers"]
        assert set(described) == {name for name, header in HEADERS.items() if header.on == "every answer"}
        assert described["X-System-Degraded"]["schema"]["enum"] == ["true", "false"]
        assert described["X-Circuit-Breaker-DB"]["schema"]["enum"] == ["CLOSED", "OPEN", "HALF_OPEN"]
        for operations in schema["paths"].values():
            for operation in operations.values():
                for response in operation["responses"].values():
                    assert set(described) <= set(response["headers"])

    def test_says_why_an_answer_is_degraded_or_refused(self, schema: dict[str, Any]) -> None:
        components = schema["components"]["schemas"]
        reasons = ["busy", "unavailable"]
        assert components["Problem"]["properties"]["reason"]["enum"] == reasons
        assert "reason" in components["Degradation"]["required"]
        read = schema["paths"]["/api/courses"]["get"]["responses"]
        assert read["200"]["headers"]["X-Degraded-Reason"]["schema"]["enum"] == reasons


class TestDocs:
    @pytest.mark.parametrize("path", ["/api/docs", "/api/docs/", "/api/schema", "/api/schema/"])
    def test_are_there(self, client: Client, path: str) -> None:
        assert client.get(path).status_code == 200

    def test_load_only_files_of_ours(self, client: Client) -> None:
        page = client.get("/api/docs").content.decode()
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert len(loaded) >= 3
        for address in loaded:
            if address == "/api/docs?script=":
                assert client.get(address)["Content-Type"] == "application/javascript"
                continue
            assert address.startswith("/static/"), address
            assert finders.find(address.removeprefix("/static/")), address
