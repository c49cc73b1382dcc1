"""The address of a course's rating: 200 whatever the partner does, and true to what is known."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError
from rest_framework.test import APIClient

from learn import ratings
from learn.management.commands.ratings_stub import MODES
from learn.models import Course
from resilience.primitives import deadline_scope
from tests.resilience.wire import taking_at_most
from tests.servers.partner import Partner

FAILING = [mode for mode in MODES if mode not in ("well", "unknown")]


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    ratings._remembered.clear()
    cache.clear()


@pytest.fixture
def partner(settings: Any) -> Iterator[Partner]:
    with Partner(seconds=60) as server:
        settings.RATINGS_URL = server.url
        yield server


@pytest.fixture
def url(course: Course) -> str:
    return f"/api/courses/{course.slug}/rating"


class TestRating:
    def test_comes_from_the_partner(self, api: APIClient, partner: Partner, url: str) -> None:
        answer = api.get(url)

        assert answer.status_code == 200
        assert answer.json().keys() == {"rating"}
        assert 0 <= answer.json()["rating"] <= 5
        assert answer["X-Data-Source"] == "live"
        assert answer["X-System-Degraded"] == "false"

    def test_has_an_address_with_a_slash_too(self, api: APIClient, partner: Partner, url: str) -> None:
        assert api.get(f"{url}/").json() == api.get(url).json()

    def test_is_null_for_a_course_that_nobody_has_rated(
        self, api: APIClient, partner: Partner, url: str
    ) -> None:
        partner.mode = "unknown"

        assert api.get(url).json() == {"rating": None}

    @pytest.mark.parametrize("mode", FAILING)
    def test_is_the_last_one_known_when_the_partner_fails(
        self, api: APIClient, partner: Partner, url: str, mode: str
    ) -> None:
        known = api.get(url).json()["rating"]
        partner.mode = mode
        with deadline_scope(0.5), taking_at_most(1.0):
            answer = api.get(url)

        assert answer.status_code == 200
        assert answer.json()["rating"] == known
        degradation = answer.json()["degradation"]
        assert degradation["source"] == "cached"
        assert degradation["reason"] == answer["X-Degraded-Reason"] == "unavailable"
        assert datetime.fromisoformat(degradation["as_of"]).utcoffset() is not None
        assert 0 <= int(answer["Age"]) < 5
        assert answer["X-Data-Source"] == "cached"
        assert answer["X-System-Degraded"] == "true"

    @pytest.mark.parametrize("mode", FAILING)
    def test_is_null_and_says_why_when_none_is_known(
        self, api: APIClient, partner: Partner, url: str, mode: str
    ) -> None:
        partner.mode = mode
        with deadline_scope(0.5), taking_at_most(1.0):
            answer = api.get(url)

        assert answer.status_code == 200
        assert answer.json()["rating"] is None
        assert answer.json()["degradation"]["source"] == "none"
        assert answer.json()["degradation"]["reason"] == answer["X-Degraded-Reason"] == "unavailable"
        assert answer["X-System-Degraded"] == "true"
        assert answer.json()["degradation"]["notice"]

    def test_is_asked_of_nobody_for_a_course_that_is_not_shown(
        self, api: APIClient, partner: Partner, course: Course
    ) -> None:
        Course.objects.unpublish()

        for slug in (course.slug, "no-such-course", "x" * 1_000):
            answer = api.get(f"/api/courses/{slug}/rating")
            assert answer.status_code == 404
            assert answer["Content-Type"] == "application/problem+json"
        assert partner.requests == 0

    def test_takes_no_parameters(self, api: APIClient, partner: Partner, url: str) -> None:
        assert api.get(f"{url}?verbose=1").status_code == 400

    def test_is_no_address_where_there_is_no_partner(self, api: APIClient, url: str) -> None:
        answer = api.get(url)

        assert answer.status_code == 404
        assert answer.json()["detail"] == "This site shows no ratings."

    def test_is_there_while_the_database_is_away(
        self, api: APIClient, partner: Partner, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*args: object) -> None:
            raise OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(type(Course.objects.all()), "exists", away)

        assert api.get(url).json()["rating"] is not None


class TestOtherAnswers:
    def test_do_not_notice_that_the_partner_is_away(
        self, api: APIClient, partner: Partner, course: Course
    ) -> None:
        partner.mode = "silent"

        assert api.get("/api/courses").status_code == 200
        assert api.get(f"/api/courses/{course.slug}").status_code == 200
        assert partner.requests == 0


class TestSchema:
    def test_describes_the_address(self, api: APIClient) -> None:
        schema = api.get("/api/schema", headers={"Accept": "application/json"}).json()

        described = schema["paths"]["/api/courses/{slug}/rating"]["get"]["responses"]
        assert described.keys() == {"200", "400", "401", "404", "406", "default"}
        rating = schema["components"]["schemas"]["Rating"]["properties"]
        assert rating["rating"]["type"] == ["number", "null"]
        assert "degradation" in rating
