"""Lists, entries, filters and pages, as everybody sees them."""

import json
import threading
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from learn.filters import CourseFilter
from learn.models import Category, Course, Field
from tests.learn.conftest import problem

pytestmark = pytest.mark.django_db


def slugs(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["slug"] for row in response.json()["results"]]


@pytest.fixture
def forty(field: Field) -> list[Course]:
    rows = [Course(title=f"Course {n:02}", slug=f"course-{n:02}", field=field) for n in range(40)]
    for row in rows:
        row.prepare()
    return list(Course.objects.bulk_create(rows))


class TestEntry:
    def test_shows_a_course_with_its_parents(self, api: APIClient, course: Course) -> None:
        response = api.get("/api/courses/compilers")
        assert response["Content-Type"] == "application/json"
        body = response.json()
        assert body.pop("created").endswith("Z")
        assert body.pop("updated").endswith("Z")
        assert body == {
            "slug": "compilers",
            "code": "CS-301",
            "title": "Compilers",
            "summary": "From text to machine code.",
            "description": None,
            "field": "programming",
            "field_title": "Programming",
            "category": "information-technology",
            "category_title": "Information Technology",
            "level": "Advanced",
            "language": "en",
            "duration_hours": 40.5,
            "credits": 6.0,
            "provider": "Example College",
            "url": "https://example.org/cs-301",
            "terms": ["2025-autumn"],
            "published": True,
            "revision": 1,
        }

    def test_shows_a_field_and_a_category(self, api: APIClient, field: Field) -> None:
        body = api.get("/api/fields/programming").json()
        assert (body["title"], body["code"], body["category"]) == (
            "Programming",
            "0613",
            "information-technology",
        )
        body = api.get("/api/categories/information-technology").json()
        assert (body["title"], body["code"]) == ("Information Technology", "06")

    @pytest.mark.parametrize(
        "path", ["/api/courses", "/api/courses/compilers", "/api/fields", "/api/categories"]
    )
    def test_is_the_same_with_a_trailing_slash(self, api: APIClient, course: Course, path: str) -> None:
        plain, slashed = api.get(path), api.get(path + "/")
        assert plain.status_code == slashed.status_code == 200
        assert plain.content == slashed.content

    def test_takes_one_query(
        self, api: APIClient, course: Course, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(1):
            api.get("/api/courses/compilers")

    def test_is_found_by_a_decomposed_slug(self, api: APIClient) -> None:
        Category.objects.create(title="Künste")
        assert api.get("/api/categories/ku\u0308nste").json()["slug"] == "künste"

    @pytest.mark.parametrize("slug", ["nope", "a%00b", "x" * 500, "..", "%F0%9F%8E%89"])
    def test_that_is_not_there_is_a_problem(self, api: APIClient, course: Course, slug: str) -> None:
        problem(api.get(f"/api/courses/{slug}"), 404)

    def test_takes_no_parameters(self, api: APIClient, course: Course) -> None:
        body = problem(api.get("/api/courses/compilers?page=1"), 400)
        assert body["errors"] == [
            {"parameter": "page", "detail": "There is no such parameter here.", "allowed": []}
        ]

    @pytest.mark.parametrize("draft", [Category, Field, Course])
    def test_hides_drafts_and_what_is_below_them_also_from_staff(
        self, api: APIClient, staff: APIClient, course: Course, draft: type[Course]
    ) -> None:
        draft.objects.all().unpublish()
        for client in (api, staff):
            problem(client.get("/api/courses/compilers"), 404)
            assert client.get("/api/courses").json()["count"] == 0


class TestPages:
    def test_hold_twenty_rows_and_lead_to_their_neighbours(self, api: APIClient, forty: list[Course]) -> None:
        first = api.get("/api/courses").json()
        assert (first["count"], len(first["results"]), first["previous"]) == (40, 20, None)
        assert first["next"] == "http://testserver/api/courses?page=2"
        second = api.get(first["next"]).json()
        assert (second["next"], second["previous"]) == (None, "http://testserver/api/courses")
        assert [row["slug"] for row in first["results"] + second["results"]] == [row.slug for row in forty]

    def test_keep_the_other_parameters_in_their_links(self, api: APIClient, forty: list[Course]) -> None:
        body = api.get("/api/courses?search=course&page_size=7&page=2&ordering=-title").json()
        assert (
            body["next"] == "http://testserver/api/courses?ordering=-title&page=3&page_size=7&search=course"
        )
        assert body["previous"] == "http://testserver/api/courses?ordering=-title&page_size=7&search=course"
        assert body["results"][0]["slug"] == "course-32"

    @pytest.mark.parametrize("size", [1, 40])
    @pytest.mark.parametrize(
        ("query", "queries"),
        [
            ("", 2),
            ("&search=course+0", 2),
            ("&ordering=-credits,title", 2),
            ("&category=information-technology&field=programming", 4),
            ("&level=basic&language=en", 4),
        ],
    )
    def test_take_the_same_queries_whatever_their_size(
        self,
        api: APIClient,
        forty: list[Course],
        django_assert_num_queries: DjangoAssertNumQueries,
        size: int,
        query: str,
        queries: int,
    ) -> None:
        Course.objects.update(level="Basic", level_key="basic", language="en")
        with django_assert_num_queries(queries):
            response = api.get(f"/api/courses?page_size={size}{query}")
        assert len(response.json()["results"]) == min(size, response.json()["count"]) > 0

    def test_of_nothing_are_one_empty_page(self, api: APIClient) -> None:
        empty: dict[str, object] = {"count": 0, "next": None, "previous": None, "results": []}
        assert api.get("/api/courses").json() == empty
        assert api.get("/api/courses?page=1").json() == empty

    def test_are_as_large_as_asked_up_to_a_hundred(self, api: APIClient, forty: list[Course]) -> None:
        assert len(slugs(api.get("/api/courses?page_size=100"))) == 40

    @pytest.mark.parametrize(
        ("query", "status", "allowed"),
        [
            ("page=3", 404, "1 to 2"),
            ("page=999999999", 404, "1 to 2"),
            ("page=0", 400, "1 to 999999999"),
            ("page=-1", 400, "1 to 999999999"),
            ("page=last", 400, "1 to 999999999"),
            ("page=1e3", 400, "1 to 999999999"),
            ("page=%EF%BC%91", 400, "1 to 999999999"),
            ("page=" + "9" * 5000, 400, "1 to 999999999"),
            ("page=1%00", 400, "1 to 999999999"),
            ("page_size=0", 400, "1 to 100"),
            ("page_size=101", 400, "1 to 100"),
            ("page_size=all", 400, "1 to 100"),
        ],
    )
    def test_that_cannot_be_are_refused_by_name(
        self, api: APIClient, forty: list[Course], query: str, status: int, allowed: str
    ) -> None:
        [error] = problem(api.get(f"/api/courses?{query}"), status)["errors"]
        assert (error["parameter"], error["allowed"]) == (query.partition("=")[0], allowed)


class TestFilters:
    @pytest.fixture(autouse=True)
    def other(self, course: Course) -> Course:
        category = Category.objects.create(title="Künste")
        field = Field.objects.create(title="機械学習", category=category)
        other: Course = Course.objects.create(
            title="Deep Nets", field=field, level="BASIC", language="zh-Hant"
        )
        return other

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("", ["compilers", "deep-nets"]),
            ("category=künste", ["deep-nets"]),
            ("field=programming", ["compilers"]),
            ("level=advanced", ["compilers"]),
            ("level=%20Basic%20", ["deep-nets"]),
            ("language=ZH-hant", ["deep-nets"]),
            ("category=künste&field=programming", []),
            ("category=künste&level=basic&language=zh-hant&search=nets+deep", ["deep-nets"]),
            ("category=&field=&search=&level=&ordering=&page=&page_size=", ["compilers", "deep-nets"]),
        ],
    )
    def test_combine_at_will(self, api: APIClient, query: str, found: list[str]) -> None:
        assert slugs(api.get(f"/api/courses?{query}")) == found

    def test_work_for_fields_and_categories(self, api: APIClient) -> None:
        assert slugs(api.get("/api/fields?category=künste")) == ["機械学習"]
        assert slugs(api.get("/api/fields?search=機械")) == ["機械学習"]
        assert slugs(api.get("/api/categories?search=kunst&ordering=-title")) == ["künste"]

    @pytest.mark.parametrize(
        ("query", "status", "parameter", "allowed"),
        [
            ("category=nope", 404, "category", "a slug from /api/categories"),
            ("field=nope", 404, "field", "a slug from /api/fields"),
            ("level=nope", 404, "level", ["Advanced", "BASIC"]),
            ("language=fr", 404, "language", ["en", "zh-hant"]),
        ],
    )
    def test_for_what_is_not_there_name_what_is(
        self, api: APIClient, query: str, status: int, parameter: str, allowed: object
    ) -> None:
        body = problem(api.get(f"/api/courses?{query}"), status)
        assert [(error["parameter"], error["allowed"]) for error in body["errors"]] == [(parameter, allowed)]

    def test_for_a_draft_parent_find_nothing(self, api: APIClient) -> None:
        Category.objects.filter(slug="künste").unpublish()
        problem(api.get("/api/courses?category=künste"), 404)
        problem(api.get("/api/courses?field=機械学習"), 404)

    @pytest.mark.parametrize(
        "query",
        [
            "language=english!",
            "language=" + "x" * 300,
            "category=" + "x" * 121,
            "category=a%00",
            "level=" + "x" * 51,
            "level=%00",
            "search=" + "x" * 201,
            "search=a%00b",
            "search=" + "+".join("abcdefghijklmnopq"),
            "ordering=price",
            "ordering=title,-title",
            "ordering=title;drop",
            "ordering=--title",
            "ordering=title%00",
            "ordering=" + ",".join(["title"] * 500 + ["x"]),
        ],
    )
    def test_with_a_wrong_value_are_refused_by_name(self, api: APIClient, query: str) -> None:
        body = problem(api.get(f"/api/courses?{query}"), 400)
        [error] = body["errors"]
        assert error["parameter"] == query.partition("=")[0]
        assert error["allowed"]
        assert len(json.dumps(body)) < 2000

    def test_that_are_unknown_or_repeated_are_all_named(self, api: APIClient) -> None:
        body = problem(api.get("/api/courses?levels=x&format=json&page=1&page=2"), 400)
        assert [error["parameter"] for error in body["errors"]] == ["levels", "format", "page"]
        assert "level" in body["errors"][0]["allowed"]

    def test_of_courses_are_unknown_to_categories(self, api: APIClient) -> None:
        [error] = problem(api.get("/api/categories?level=basic"), 400)["errors"]
        assert error["allowed"] == ["search", "ordering", "page", "page_size"]


class TestOrdering:
    @pytest.fixture(autouse=True)
    def three(self, field: Field) -> None:
        for code, (title, credits) in enumerate((("B", None), ("á", 5), ("A", 5), ("c", 1))):
            Course.objects.create(title=title, field=field, credits=credits, code=f"X{code}")

    @pytest.mark.parametrize(
        ("ordering", "found"),
        [
            ("title", ["a", "á", "b", "c"]),
            ("-title", ["c", "b", "a", "á"]),
            ("credits", ["c", "a", "á", "b"]),
            ("-credits", ["a", "á", "c", "b"]),
            ("-credits,-title", ["a", "á", "c", "b"]),
            (",-title,", ["c", "b", "a", "á"]),
            (",", ["a", "á", "b", "c"]),
        ],
    )
    def test_puts_the_unknown_last_and_decides_ties_by_slug(
        self, api: APIClient, ordering: str, found: list[str]
    ) -> None:
        assert slugs(api.get(f"/api/courses?ordering={ordering}")) == found


class TestReadOnly:
    def test_no_get_writes(self, api: APIClient, course: Course) -> None:
        with CaptureQueriesContext(connection) as queries:
            for path in ("/api/courses?search=comp&level=advanced", "/api/courses/compilers", "/api/fields"):
                assert api.get(path).status_code == 200
        assert queries.captured_queries
        assert all(query["sql"].startswith("SELECT") for query in queries.captured_queries)

    def test_head_is_answered_like_get(self, api: APIClient, course: Course) -> None:
        response = api.head("/api/courses")
        assert (response.status_code, response.content) == (200, b"")


class TestSharedFilters:
    def test_keep_nothing_of_a_request(self, api: APIClient, forty: list[Course]) -> None:
        asked = ["", "?search=course+3&ordering=-title", "?level=none", "?search=" + "x" * 201, ""]
        together: list[list[bytes]] = [[], []]

        def ask(found: list[bytes]) -> None:
            for query in asked * 3:
                filterset = CourseFilter(QueryDict(query[1:]), queryset=Course.objects.public())
                said = (filterset.is_valid(), filterset.form.cleaned_data, filterset.errors)
                found.append(str(said).encode())

        threads = [threading.Thread(target=ask, args=(found,)) for found in together]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert together[0] == together[1]
        assert together[0][0] == together[0][4] != together[0][1]
        assert api.get("/api/courses").json()["count"] == 40
