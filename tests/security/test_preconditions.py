"""Conditions on reads, at every address and from every tier: in the order of RFC 9110 §13.2.2.

A condition counts where the answer would be 200 without it. A 304 says that the client has what this answer
would be: a stand-in says so of its own bytes alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from django.core.cache import cache
from django.test import Client

from learn.models import Category, Course, Field
from resilience import registry
from resilience.tiers import catalogue_version, fresh, stored
from resilience.tiers.static_copy import building, keeping
from tests.security.conftest import OPS_TOKEN
from tests.security.routes import filled, routes

EARLY, LATE = "Thu, 01 Jan 1970 00:01:39 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
OTHER = '"7-000000000000000000000000"'
FILE = "/static/resilience/board.js"
LIST = "/api/categories/"
TIERS = {"live": "live", "fresh": "cached", "cached": "cached", "static": "static", "nothing": None}
DEGRADED = ("cached", "static")
EXAMPLES = {
    "/api/categories/": {"slug": "arts"},
    "/api/fields/": {"slug": "music"},
    "/api/courses/": {"slug": "jazz"},
}

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.lenient(reason="some addresses pass over parameters that they do not have"),
]


class Site(NamedTuple):
    """The site in one tier: its addresses, and how to ask for one."""

    tier: str
    paths: list[str]
    client: Client

    def asks(self, path: str, method: str = "GET", **headers: str) -> Any:
        if self.tier == "live":
            forget()
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        if path.startswith(("/api/admin/", "/metrics")):
            said["Authorization"] = f"Bearer {OPS_TOKEN}"
        answer = self.client.generic(method, path, headers=said)
        if answer.streaming:
            answer.close()
        return answer

    def reads(self) -> list[tuple[str, Any]]:
        """Return each address that is answered, with its answer without any condition."""
        found = [(path, self.asks(path)) for path in self.paths]
        return [(path, answer) for path, answer in found if answer.status_code == 200]


def forget() -> None:
    cache.clear()
    stored.forget()
    fresh.forget()


def isolate(*names: str) -> None:
    for name in names or registry.breakers():
        registry.breaker(name).isolate(who="test", why="an outage")


@pytest.fixture(autouse=True)
def catalogue(server: None) -> None:
    arts = Category.objects.create(title="Arts")
    Course.objects.create(title="Jazz", field=Field.objects.create(title="Music", category=arts))


@pytest.fixture(params=list(TIERS))
def site(request: pytest.FixtureRequest, catalogue: None, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Bring the site into a tier. Nobody builds a static copy beside the test."""
    monkeypatch.setattr(keeping.start, "prepare", lambda: None)
    monkeypatch.setattr(keeping, "build_if_missing", lambda: False)
    # The schema is made for each request, which takes long, and is a plain answer like that of the health.
    left_out = ("/admin/", "/api/schema/", "/api/docs/")
    paths = [filled(route, EXAMPLES) for route in routes() if not route.startswith(left_out)]
    if request.param != "live":  # What asks no database is the same as there.
        paths = [path for path in paths if path.startswith(tuple(EXAMPLES))]
    site = Site(request.param, [*paths, FILE], Client())
    if site.tier == "static":
        building.from_live()
    if site.tier in ("fresh", "cached"):
        for path in paths:
            site.asks(path)
    if site.tier not in ("live", "fresh"):
        catalogue_version.raise_version()  # What is stored is no longer fresh.
        isolate()
    found = site.asks(LIST)
    assert found.get("X-Data-Source") == TIERS[site.tier]
    assert found.status_code == (503 if site.tier == "nothing" else 200)
    return site


class TestOfARead:
    def test_that_holds_changes_nothing(self, site: Site) -> None:
        for path, plain in site.reads():
            own = plain.get("ETag", '"none"')
            held: list[dict[str, str]] = [
                {"If_None_Match": OTHER},
                {"If_None_Match": f"W/{OTHER}, no tag"},
                {"If_None_Match": OTHER, "If_Modified_Since": LATE},
                {"If_Match": "*"},
                {"If_Match": "*", "If_Unmodified_Since": EARLY},
                {"If_Unmodified_Since": LATE},
                {"If_Unmodified_Since": "yesterday", "If_Modified_Since": "tomorrow"},
                {"Range": "bytes=0-0"},
                {"Range": "bytes=0-9", "If_Range": own},
                {"Range": "bytes=0-9", "If_Range": OTHER},
                {"Range": "pages=1"},
            ]
            if "ETag" in plain:
                held += [{"If_Match": f"{OTHER}, {own}"}, {"If_Match": own, "If_Unmodified_Since": EARLY}]
            for headers in held:
                answer = site.asks(path, **headers)
                assert answer.status_code == 200, (path, headers)
                assert answer.get("ETag") == plain.get("ETag"), (path, headers)

    def test_that_names_another_state_is_412_before_all_else(self, site: Site) -> None:
        for path, plain in site.reads():
            own = plain.get("ETag", '"none"')
            for headers in (
                {"If_Match": OTHER},
                {"If_Match": f"W/{own}"},
                {"If_Match": OTHER, "If_None_Match": own},
                {"If_Match": OTHER, "If_None_Match": "*", "If_Modified_Since": LATE},
                {"If_Match": OTHER, "Range": "bytes=0-9"},
            ):
                for method in ("GET", "HEAD"):
                    answer = site.asks(path, method, **headers)
                    assert answer.status_code == 412, (path, method, headers)
                    assert answer["Cache-Control"] == "no-store"
                    assert answer.get("X-Data-Source") == plain.get("X-Data-Source")
                    assert answer.get("X-Degraded-Reason") == plain.get("X-Degraded-Reason")

    def test_that_names_this_state_is_304_with_its_labels(self, site: Site) -> None:
        tagged = [(path, plain) for path, plain in site.reads() if "ETag" in plain and path != FILE]
        assert tagged or site.tier == "nothing"
        for path, plain in tagged:
            own = plain["ETag"]
            for given in (own, f"W/{own}", f"{OTHER}, W/{own}"):
                for method in ("GET", "HEAD"):
                    answer = site.asks(path, method, If_None_Match=given, If_Modified_Since=EARLY)
                    assert (answer.status_code, answer.content) == (304, b""), (path, given)
                    assert "Content-Length" not in answer
                    for name in ("ETag", "Cache-Control", "X-Data-Source", "X-Degraded-Reason", "Vary"):
                        assert answer.get(name) == plain.get(name), (path, name)

    def test_that_asks_for_nothing_there_is_304_where_something_is_known_to_be(self, site: Site) -> None:
        for path, plain in site.reads():
            if "ETag" in plain and path != FILE:
                status = 200 if site.tier in DEGRADED else 304
                assert site.asks(path, If_None_Match="*").status_code == status, path

    def test_is_passed_over_where_the_answer_is_an_error(self, site: Site) -> None:
        for path in [*site.paths, "/api/courses/none", "/api/courses?page=0", "/api/nowhere", "/nowhere"]:
            plain = site.asks(path)
            if plain.status_code >= 400:
                for headers in ({"If_Match": OTHER}, {"If_None_Match": "*"}, {"If_Unmodified_Since": EARLY}):
                    assert site.asks(path, **headers).status_code == plain.status_code, (path, headers)


class TestOfAStandIn:
    def test_the_tag_of_a_live_answer_says_nothing(self, client: Client) -> None:
        live = client.get(LIST)["ETag"]
        building.from_live()
        catalogue_version.raise_version()
        isolate()
        for forgotten, source in ((False, "cached"), (True, "static")):
            if forgotten:
                forget()
            answer = client.get(LIST, headers={"if-none-match": live})
            assert (answer.status_code, answer["X-Data-Source"]) == (200, source)
            refused = client.get(LIST, headers={"if-match": live})
            assert refused.status_code == 412
            assert "Nobody can say" in refused.json()["detail"]

    def test_its_tag_ends_with_the_copy_and_with_its_reason(self, client: Client) -> None:
        building.from_live()
        isolate("database")
        tag = client.get(LIST)["ETag"]
        assert client.get(LIST, headers={"if-none-match": tag}).status_code == 304
        registry.breaker("database").reset(who="test", why="it ends")
        live = client.get(LIST, headers={"if-none-match": tag})
        assert (live.status_code, live["X-Data-Source"]) == (200, "live")


def test_a_file_is_sent_whole_and_in_a_coding_that_is_taken(client: Client) -> None:
    plain: Any = client.get(FILE)
    whole = b"".join(plain.streaming_content)
    for headers in ({"range": "bytes=0-0"}, {"range": "bytes=0-9"}, {"range": "bytes=999999999-"}):
        answer: Any = client.get(FILE, headers=headers)
        assert (answer.status_code, b"".join(answer.streaming_content)) == (200, whole)
    assert client.get(FILE, headers={"if-match": OTHER, "if-none-match": plain["ETag"]}).status_code == 412
    known = client.get(FILE, headers={"if-none-match": plain["ETag"]})
    assert known.status_code == 304
