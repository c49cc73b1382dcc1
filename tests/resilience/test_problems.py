"""Every error under /api/ is a problem, wherever it comes from."""

import json
import re
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from django.conf import settings as project
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotFound, StreamingHttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings
from rest_framework import exceptions

from resilience.primitives.errors import RejectedError
from resilience.problems import (
    ConflictError,
    ParameterError,
    ProblemMiddleware,
    come_back,
    exception_handler,
    problem,
)


def body(response: Any) -> dict[str, Any]:
    assert response is not None
    assert response["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = json.loads(response.content)
    assert found["status"] == response.status_code
    return found


class TestProblem:
    def test_has_the_members_of_the_standard_and_further_ones(self) -> None:
        assert body(problem(503, detail="Später.", outcome="not_stored")) == {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "Später.",
            "outcome": "not_stored",
        }


class TestComeBack:
    """Of the same kind: 503 of reads, writes, sign-in, operators, pages; 429 of sign-in and of the board."""

    @staticmethod
    def told(seconds: float, times: int = 2_000) -> Counter[int]:
        found: Counter[int] = Counter()
        for _ in range(times):
            response = HttpResponse()
            come_back(response, seconds)
            found[int(response["Retry-After"])] += 1
        return found

    @pytest.fixture(autouse=True)
    def _seeded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("resilience.problems._draw", Random(1969).random)  # noqa: S311

    @pytest.mark.parametrize(
        ("seconds", "first", "last"),
        [(-3, 1, 3), (0, 1, 3), (0.1, 1, 3), (4.2, 5, 7), (14.3, 15, 22), (60, 60, 90), (600, 600, 630)],
    )
    def test_spreads_those_who_were_refused_evenly_over_half_of_the_wait(
        self, seconds: float, first: int, last: int
    ) -> None:
        found = self.told(seconds)
        assert set(found) == set(range(first, last + 1))
        assert max(found.values()) < 2 * 2_000 / len(found)

    def test_never_asks_for_more_than_a_day(self) -> None:
        assert set(self.told(1e9)) == set(range(86_400, 86_431))

    def test_is_the_one_place_that_sets_the_header(self) -> None:
        setting = [
            path.relative_to(project.BASE_DIR).as_posix()
            for package in ("zenow", "learn", "resilience")
            for path in (project.BASE_DIR / package).rglob("*.py")
            if re.search(r"""["']Retry-After["'](\] =|\s*:)""", path.read_text())
        ]
        assert setting == ["resilience/problems.py"]


class TestExceptionHandler:
    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (Http404("x"), 404),
            (PermissionDenied(), 403),
            (exceptions.ParseError(), 400),
            (exceptions.MethodNotAllowed("PUT"), 405),
            (ConflictError("taken"), 409),
            (ParameterError("page", "No.", status=404), 404),
        ],
    )
    def test_answers_with_the_status_of_the_error(self, error: Exception, status: int) -> None:
        assert body(exception_handler(error, {}))["status"] == status

    def test_leaves_a_bug_to_become_a_500(self) -> None:
        assert exception_handler(KeyError("x"), {}) is None

    def test_says_when_to_come_back(self) -> None:
        refused = exception_handler(
            RejectedError("database", retry_after=2.2, reason="the breaker is open"), {}
        )
        assert body(refused)["detail"] == "The breaker is open."
        assert body(refused)["reason"] == "unavailable"
        assert refused is not None
        assert refused.status_code == 503
        assert 3 <= int(refused["Retry-After"]) <= 5
        throttled = exception_handler(exceptions.Throttled(wait=4.5), {})
        assert throttled is not None
        assert 5 <= int(throttled["Retry-After"]) <= 7

    def test_points_at_each_wrong_member(self) -> None:
        error = exceptions.ValidationError(
            {
                "title": ["Too short.", "Too dull."],
                "a/b": {"c": ["No."]},
                "terms": {"1": ["Long."]},
                "non_field_errors": ["x"],
            }
        )
        assert body(exception_handler(error, {}))["errors"] == [
            {"pointer": "#/title", "detail": "Too short."},
            {"pointer": "#/title", "detail": "Too dull."},
            {"pointer": "#/a~1b/c", "detail": "No."},
            {"pointer": "#/terms/1", "detail": "Long."},
            {"pointer": "#", "detail": "x"},
        ]


def answering(response: Any) -> Callable[[HttpRequest], Any]:
    return lambda request: response


class TestMiddleware:
    @pytest.fixture
    def request_(self, rf: RequestFactory) -> HttpRequest:
        return rf.get("/api/x")

    def test_replaces_an_error_page_and_keeps_its_headers(self, request_: HttpRequest) -> None:
        page = HttpResponseNotFound("<h1>Not found</h1>", headers={"Vary": "Origin", "Content-Length": "18"})
        page.set_cookie("a", "b")
        response = ProblemMiddleware(answering(page))(request_)
        assert isinstance(response, HttpResponse)
        assert body(response)["detail"] == "There is nothing at this address."
        assert response["Vary"] == "Origin"
        assert response["Content-Length"] == str(len(response.content))
        assert "a" in response.cookies

    def test_keeps_a_problem_a_success_and_a_stream(self, request_: HttpRequest) -> None:
        for kept in (
            problem(409, detail="Mine."),
            HttpResponse("fine"),
            StreamingHttpResponse([b"x"], status=500),
        ):
            before = kept.get("Content-Type")
            assert ProblemMiddleware(answering(kept))(request_) is kept
            assert kept.get("Content-Type") == before

    def test_keeps_pages_for_people(self, rf: RequestFactory) -> None:
        page = HttpResponseNotFound("<h1>Not found</h1>")
        assert ProblemMiddleware(answering(page))(rf.get("/admin/x")) is page
        assert page.content == b"<h1>Not found</h1>"


@pytest.mark.django_db
class TestSite:
    """The middleware and the handler together, as the site has them."""

    @pytest.mark.parametrize("debug", [False, True])
    def test_answers_what_never_reaches_a_view(self, client: Client, settings: Settings, debug: bool) -> None:
        settings.DEBUG = debug
        assert body(client.get("/api/nope"))["status"] == 404
        assert body(client.get("/api/courses", HTTP_HOST="evil.example"))["status"] == 400
        assert "html" in client.get("/nope")["Content-Type"]

    @pytest.mark.parametrize("debug", [False, True])
    @pytest.mark.parametrize(
        ("error", "status"),
        [(RuntimeError("a secret"), 500), (BadRequest("x"), 400), (PermissionDenied(), 403)],
    )
    def test_answers_a_bug_without_its_details(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, debug: bool, error: Exception, status: int
    ) -> None:
        def broken(*_: object, **__: object) -> None:
            raise error

        settings.DEBUG = debug
        monkeypatch.setattr("learn.views.EntryViewSet.get_queryset", broken)
        response = Client(raise_request_exception=False).get("/api/courses")
        assert body(response)["status"] == status
        assert b"secret" not in response.content

    def test_comes_first_so_that_no_page_escapes(self) -> None:
        ours = [name for name in project.MIDDLEWARE if not name.startswith("resilience.")]
        place = project.MIDDLEWARE.index("resilience.problems.ProblemMiddleware")
        assert place < min(project.MIDDLEWARE.index(name) for name in ours)
