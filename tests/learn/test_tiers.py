"""The catalogue's reads from tier to tier: which one answers, and what it says of itself."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.test import Client
from pytest_django import Settings

from learn.filters import CourseFilter
from learn.models import Category, Course, Field
from learn.views import CourseViewSet
from resilience import registry
from resilience.primitives import ManualClock, Outcome, TierUnavailableError
from resilience.testing import server_role
from resilience.tiers import catalogue_version, fresh, passed_over, static_copy, stored
from resilience.tiers.static_copy import building, keeping

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def server(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.RESILIENCE = {**settings.RESILIENCE, "STATIC_DIR": str(tmp_path)}
    # Nobody builds a static copy beside the test: neither the steward nor the start of this process.
    monkeypatch.setattr("resilience.steward.start", lambda: None)
    monkeypatch.setattr(keeping.start, "prepare", lambda: None)
    monkeypatch.setattr(keeping, "build_if_missing", lambda: False)
    with server_role(clock=ManualClock()):
        yield
    cache.clear()
    stored.forget()
    fresh.forget()


@pytest.fixture(autouse=True)
def catalogue(server: None) -> Course:
    music = Field.objects.create(title="Music", category=Category.objects.create(title="Arts"))
    course: Course = Course.objects.create(title="Jazz", field=music)
    return course


@pytest.fixture
def copy(catalogue: Course) -> None:
    building.from_live()


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what makes the database refuse every query from then on."""

    def die() -> None:
        def refuse(*_: object) -> None:
            raise OperationalError("the server is gone")

        connection = connections[DEFAULT_DB_ALIAS]
        monkeypatch.setattr(connection, "cursor", refuse)
        monkeypatch.setattr(connection, "chunked_cursor", refuse)

    return die


@pytest.fixture
def full(server: None) -> Iterator[ExitStack]:
    """The pool `read` has no place; closing this gives it back."""
    pool = registry.bulkhead("read")
    pool.config = replace(pool.config, running=1, waiting=0)
    with ExitStack() as stack:
        stack.enter_context(pool.enter())
        yield stack


def degradation(response: Any) -> Any:
    return json.loads(response.content).get("degradation")


class TestLive:
    def test_answers_first_and_says_nothing_of_degradation(self, client: Client) -> None:
        response = client.get("/api/courses")
        assert response.status_code == 200
        assert response["X-Data-Source"] == "live"
        assert degradation(response) is None
        assert response["Cache-Control"] == "max-age=0, s-maxage=30, stale-if-error=300"

    def test_what_the_client_got_wrong_is_its_answer(self, client: Client) -> None:
        assert client.get("/api/courses?page=0").status_code == 400
        assert client.get("/api/courses/none").status_code == 404
        assert client.get("/api/courses", headers={"authorization": "Bearer x"}).status_code == 401

    def test_a_client_that_has_the_answer_gets_304(self, client: Client) -> None:
        tag = client.get("/api/courses/jazz")["ETag"]
        again = client.get("/api/courses/jazz?", headers={"if-none-match": tag})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)


class TestFresh:
    def test_answers_the_second_request_with_the_same_bytes(self, client: Client) -> None:
        first, second = (client.get("/api/courses") for _ in range(2))
        assert (second["X-Data-Source"], second.content) == ("cached", first.content)
        assert second["Cache-Status"].startswith("resilience; hit; ttl=")
        assert (second["ETag"], second["X-System-Degraded"]) == (first["ETag"], "false")

    @pytest.mark.parametrize(
        "query",
        [
            *("page=1", "ordering=title", "page_size=20&level=", "&"),
            *(f"{name}=" for name in CourseFilter.base_filters),
        ],
    )
    def test_what_means_the_same_shares_one_answer(self, client: Client, query: str) -> None:
        client.get("/api/courses")
        assert client.get(f"/api/courses?{query}")["X-Data-Source"] == "cached"

    @pytest.mark.parametrize("query", ["page_size=1", "search=jazz", "ordering=-title", "page=1&page=1"])
    def test_what_means_something_else_does_not(self, client: Client, query: str) -> None:
        client.get("/api/courses")
        assert client.get(f"/api/courses?{query}")["X-Data-Source"] == "live"

    def test_the_order_of_parameters_does_not_count(self, client: Client) -> None:
        client.get("/api/courses?search=jazz&page_size=9")
        assert client.get("/api/courses?page_size=9&search=jazz")["X-Data-Source"] == "cached"

    def test_is_none_of_what_another_charset_makes_of_the_address(self, client: Client) -> None:
        address = "/api/courses?search=%6A%61%7A%7A"
        odd = client.generic("GET", address, content_type="text/plain; charset=utf-16")
        assert json.loads(odd.content)["count"] == 1
        assert client.get(address).json()["count"] == 1

    def test_what_is_wrong_stays_wrong(self, client: Client) -> None:
        client.get("/api/courses")
        assert client.get("/api/courses?unknown=").status_code == 400
        assert client.get("/api/courses", headers={"authorization": "Bearer x"}).status_code == 401
        assert client.get("/api/courses", headers={"host": "elsewhere.example"}).status_code == 400
        assert client.get("/api/courses", headers={"accept": "text/html"}).status_code == 406

    @pytest.mark.parametrize("query", ["?page=1", "?level="])
    def test_an_entry_takes_no_parameters_known_or_not(self, client: Client, query: str) -> None:
        for _ in range(2):
            assert client.get(f"/api/courses/jazz{query}").status_code == 400
            assert client.get("/api/courses/jazz").status_code == 200

    def test_a_write_makes_it_old_at_once(self, client: Client, catalogue: Course) -> None:
        client.get("/api/courses/jazz")
        catalogue.summary = "new"
        catalogue.save()
        response = client.get("/api/courses/jazz")
        assert (response["X-Data-Source"], response.json()["summary"]) == ("live", "new")

    def test_a_client_that_has_it_gets_304(self, client: Client) -> None:
        tag = client.get("/api/courses")["ETag"]
        again = client.get("/api/courses", headers={"if-none-match": f'"other", {tag}'})
        assert (again.status_code, again.content, again["X-Data-Source"]) == (304, b"", "cached")

    def test_a_client_that_only_asks_for_news_fills_it_too(self, client: Client) -> None:
        first = client.get("/api/courses")
        fresh.forget()
        with_tag = {"if-none-match": first["ETag"]}
        assert client.get("/api/courses", headers=with_tag).status_code == 304
        whole = client.get("/api/courses")
        assert (whole.status_code, whole.content, whole["Content-Type"]) == (
            200,
            first.content,
            first["Content-Type"],
        )

    def test_another_site_s_page_gets_its_own_headers(self, client: Client, settings: Settings) -> None:
        settings.CORS_ALLOWED_ORIGINS = ["https://one.example", "https://two.example"]
        for origin in settings.CORS_ALLOWED_ORIGINS:
            response = client.get("/api/courses", headers={"origin": origin})
            assert response["Access-Control-Allow-Origin"] == origin
        assert response["X-Data-Source"] == "cached"
        assert "Access-Control-Allow-Origin" not in client.get("/api/courses")

    def test_is_found_in_the_cache_by_another_process(self, client: Client) -> None:
        first = client.get("/api/courses")
        stored.forget()
        fresh.forget()
        second = client.get("/api/courses")
        assert (second["X-Data-Source"], second.content) == ("cached", first.content)

    @pytest.mark.parametrize(
        "others",
        [
            {"at": "now"},
            {"at": None},
            {"body": "text"},
            {"headers": []},
            {"headers": {"X-A": "1\r\nX-B: 2"}},
            {"headers": {"\u00e9": "1"}},
            {"version": None},
            {"removals": "0"},
            {"of another version": 1},
        ],
    )
    def test_what_another_program_wrote_into_the_cache_is_none(
        self,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        others: dict[str, Any],
    ) -> None:
        keep = cache.set
        monkeypatch.setattr(cache, "set", lambda key, value, **said: keep(key, {**value, **others}, **said))
        client.get("/api/courses")
        stored.forget()
        fresh.forget()
        assert client.get("/api/courses")["X-Data-Source"] == "live"
        assert "is no stored answer" in caplog.text

    def test_nothing_is_stored_while_the_generation_is_unknown(self, client: Client) -> None:
        with server_role():
            for _ in range(2):
                assert client.get("/api/courses")["X-Data-Source"] == "live"


@pytest.mark.usefixtures("copy")
class TestCached:
    def test_stands_in_for_the_database_and_says_so(self, client: Client, dead: Any) -> None:
        live = client.get("/api/courses").json()
        catalogue = Course.objects.get()
        catalogue.summary = "new"
        catalogue.save()  # No longer fresh.
        dead()
        response = client.get("/api/courses")
        body = response.json()
        said = body.pop("degradation")
        assert said["source"] == response["X-Data-Source"] == "cached"
        assert said["reason"] == response["X-Degraded-Reason"] == "unavailable"
        assert said["notice"] == (
            "The database is not available at the moment. This answer was kept from earlier."
        )
        assert body == live
        assert response["X-System-Degraded"] == "true"
        assert response["Cache-Control"] == "no-cache"

    def test_says_why_the_database_was_passed_over(self, client: Client, dead: Any) -> None:
        client.get("/api/courses")
        catalogue_version.raise_version()
        dead()
        said = client.get("/api/courses")["Cache-Status"]
        assert re.fullmatch(r'resilience; hit; ttl=-\d+; detail="cached live:unavailable"', said)

    def test_never_shows_what_went_out_of_sight(self, client: Client, dead: Any, catalogue: Course) -> None:
        client.get("/api/courses")
        Field.objects.create(title="Dance", category=Category.objects.get())
        catalogue.delete()
        dead()
        response = client.get("/api/courses")
        assert response["X-Data-Source"] == "static"
        assert response["Cache-Status"].endswith('; detail="static live:unavailable cached:stale"')


@pytest.mark.usefixtures("copy")
class TestStatic:
    def test_answers_what_nobody_asked_before(self, client: Client, dead: Any) -> None:
        dead()
        response = client.get("/api/courses?search=jazz&ordering=-title")
        assert response.status_code == 200
        assert response.json()["count"] == 1
        assert degradation(response)["source"] == response["X-Data-Source"] == "static"
        assert int(response["Age"]) >= 0
        assert response["X-System-Degraded"] == "true"

    @pytest.mark.parametrize("path", ["/api/courses/none", "/api/courses?page=9", "/api/courses?field=none"])
    def test_what_it_does_not_hold_may_exist(self, client: Client, dead: Any, path: str) -> None:
        dead()
        response = client.get(path)
        assert (response.status_code, response["Content-Type"]) == (503, "application/problem+json")
        assert response["Cache-Status"] == (
            'resilience; fwd=miss; detail="live:unavailable cached:missing static:missing"'
        )
        assert int(response["Retry-After"]) >= 1

    def test_an_empty_list_is_an_answer_and_a_mistake_stays_one(self, client: Client, dead: Any) -> None:
        dead()
        assert client.get("/api/courses?search=nothing").json()["count"] == 0
        assert client.get("/api/courses?page=x").status_code == 400
        assert client.get("/api/courses", headers={"authorization": "Bearer x"}).status_code == 401

    def test_is_asked_at_once_while_the_breaker_refuses(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database = registry.breaker("database")
        database.isolate(who="a test", why="to be refused")
        looked: list[object] = []
        prepare = CourseViewSet.get_queryset

        def noted(view: CourseViewSet) -> Any:
            looked.append(view)
            return prepare(view)

        monkeypatch.setattr(CourseViewSet, "get_queryset", noted)
        before = database.snapshot().rejected
        assert client.get("/api/courses")["X-Data-Source"] == "static"
        assert (len(looked), database.snapshot().rejected) == (1, before + 1)

    def test_leaves_the_probe_to_the_query(self, client: Client) -> None:
        database = registry.breaker("database")
        for _ in range(3):
            database.settle(database.admit(), Outcome.FAILURE, error=OperationalError("gone"))
        assert client.get("/api/courses")["X-Data-Source"] == "static"
        registry.clock().advance(database.config.recovery_timeout)  # type: ignore[attr-defined]
        assert client.get("/api/courses?page_size=5")["X-Data-Source"] == "live"
        assert database.shown() == "CLOSED"

    def test_a_full_pool_is_passed_by(self, client: Client, full: None) -> None:
        response = client.get("/api/courses?search=full")
        assert response["X-Data-Source"] == "static"
        assert response["Cache-Status"].endswith('; detail="static live:busy cached:missing"')

    def test_its_tag_is_its_own(self, client: Client, dead: Any) -> None:
        live = client.get("/api/courses/jazz")["ETag"]
        catalogue_version.raise_version(removal=True)
        dead()
        degraded = client.get("/api/courses/jazz")["ETag"]
        assert degraded != live
        assert client.get("/api/courses/jazz", headers={"if-none-match": degraded}).status_code == 304


@pytest.mark.usefixtures("copy", "full")
class TestBusy:
    """A crowd on a healthy site: nothing is said to be down."""

    def test_is_what_a_stand_in_says_in_header_body_and_notice(self, client: Client) -> None:
        response = client.get("/api/courses?search=crowd")
        said = degradation(response)
        assert said["reason"] == response["X-Degraded-Reason"] == "busy"
        assert said["notice"] == "The site is busy at the moment. This is a copy of an earlier time."
        assert response["X-Circuit-Breaker-DB"] == "CLOSED"
        health = client.get("/api/health")
        assert (health.json()["status"], health["X-System-Degraded"]) == ("degraded", "false")
        assert health.json()["pools"]["read"]["shedLastMinute"] == 1

    def test_is_what_a_503_says_of_what_the_copy_lacks(self, client: Client) -> None:
        response = client.get("/api/courses/none")
        problem = response.json()
        assert (response.status_code, problem["reason"]) == (503, "busy")
        assert problem["detail"].startswith("The site is busy")
        assert "not available" not in problem["detail"]
        assert response["X-Degraded-Reason"] == "busy"
        assert 1 <= int(response["Retry-After"]) <= 3

    def test_is_what_a_503_says_where_there_is_no_copy(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def none(*_: object) -> None:
            raise TierUnavailableError("no file opens", reason="unavailable")

        monkeypatch.setattr(static_copy, "opened", none)
        response = client.get("/api/courses")
        assert (response.status_code, response.json()["reason"]) == (503, "busy")
        assert response["Cache-Status"].endswith('detail="live:busy cached:missing static:unavailable"')

    def test_is_over_with_the_crowd(self, client: Client, full: ExitStack) -> None:
        full.close()
        response = client.get("/api/courses?search=crowd")
        assert response["X-Data-Source"] == "live"
        assert "X-Degraded-Reason" not in response


class TestReasons:
    def test_are_counted_and_logged_once(
        self, client: Client, dead: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        passed_over.forget()
        dead()
        for _ in range(3):
            client.get("/api/courses")
        counted = registry.store().counters.totals()
        found = {labels[1:]: number for labels, number in counted.items() if labels[0] == "tier_passed"}
        assert found == {
            ("live", "unavailable"): 3,
            ("cached", "missing"): 3,
            ("static", "missing"): 3,
        }
        said = [line for line in caplog.messages if "is passed over" in line]
        assert [line.split(": ")[0] for line in said] == [
            f"the tier {tier} is passed over ({reason})" for tier, reason in found
        ]


class TestNothing:
    def test_is_said_with_when_to_come_back(self, client: Client, dead: Any) -> None:
        dead()
        response = client.get("/api/courses")
        assert (response.status_code, response["Cache-Control"]) == (503, "no-store")
        assert response["Cache-Status"] == (
            'resilience; fwd=miss; detail="live:unavailable cached:missing static:missing"'
        )
        assert int(response["Retry-After"]) >= 1
