"""Who may write, and what a write stores or refuses."""

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from learn.models import Category, Course, Entry, Field
from tests.learn.conftest import problem

pytestmark = pytest.mark.django_db
SignIn = Callable[..., APIClient]

NEW = {"title": "Operating Systems", "field": "programming"}


class TestWhoMayWrite:
    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_nobody_without_a_token(self, api: APIClient, course: Course, method: str) -> None:
        path = "/api/courses" if method == "post" else "/api/courses/compilers"
        response = getattr(api, method)(path, NEW)
        problem(response, 401)
        assert response["WWW-Authenticate"].startswith("Bearer")
        assert Course.objects.get().revision == 1

    def test_staff_with_the_models_permission_only(self, signed_in: SignIn, course: Course) -> None:
        path = "/api/courses/compilers"
        problem(signed_in().patch(path, {"title": "x"}), 403)
        problem(signed_in("add_course", "delete_course").patch(path, {"title": "x"}), 403)
        problem(signed_in("change_course", is_staff=False).patch(path, {"title": "x"}), 403)
        assert signed_in("change_course", "view_course").patch(path, {"title": "New"}).status_code == 200
        assert Course.objects.get().title == "New"
        problem(signed_in("change_field").delete(path), 403)
        assert signed_in("delete_course").delete(path).status_code == 204

    def test_anybody_may_read(self, signed_in: SignIn, course: Course) -> None:
        assert signed_in(is_staff=False).get("/api/courses").json()["count"] == 1

    def test_who_signs_in_writes_with_the_token(self, api: APIClient, field: Field) -> None:
        user = User.objects.create_user("editor", password="correct horse battery", is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="add_course"))
        tokens = api.post(
            "/api/auth/token", {"username": "editor", "password": "correct horse battery"}
        ).json()
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access_token']}")
        assert api.post("/api/courses", NEW).status_code == 201
        problem(api.delete("/api/courses/operating-systems"), 403)
        assert api.get("/api/courses/operating-systems").status_code == 200
        api.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
        problem(api.get("/api/courses/operating-systems"), 401)


@pytest.mark.django_db(transaction=True)
class TestTransaction:
    def test_is_one_without_savepoints(self, staff: APIClient, field: Field) -> None:
        asked: list[tuple[str, str, dict[str, str] | None]] = [
            ("post", "/api/courses", NEW),
            ("patch", "/api/courses/operating-systems", {"summary": "New."}),
            ("delete", "/api/courses/operating-systems", None),
        ]
        for method, path, body in asked:
            with CaptureQueriesContext(connection) as sent:
                assert getattr(staff, method)(path, body, format="json").status_code < 300
            statements = [query["sql"].split()[0] for query in sent]
            assert "RELEASE" not in statements
            assert (statements.count("BEGIN"), statements.count("COMMIT")) == (1, 1)


class TestCreate:
    @pytest.mark.parametrize("path", ["/api/courses", "/api/courses/"])
    def test_stores_a_course_and_says_where(self, staff: APIClient, field: Field, path: str) -> None:
        response = staff.post(path, {**NEW, "credits": 2.5, "terms": ["2026-1"], "language": "pt-BR"})
        assert response.status_code == 201
        assert response["Location"] == "http://testserver/api/courses/operating-systems"
        body = response.json()
        assert (body["credits"], body["terms"], body["language"], body["level"]) == (
            2.5,
            ["2026-1"],
            "pt-br",
            None,
        )
        assert staff.get(response["Location"]).json() == body

    def test_stores_a_field_and_a_category(self, staff: APIClient) -> None:
        assert staff.post("/api/categories", {"title": "Künste"}).status_code == 201
        response = staff.post("/api/fields", {"title": "Malerei", "category": "künste"})
        assert response.status_code == 201
        assert Field.objects.get().category == Category.objects.get()

    def test_names_each_member_that_is_wrong(self, staff: APIClient, field: Field) -> None:
        body = problem(
            staff.post(
                "/api/courses",
                {
                    "title": " ",
                    "field": "nope",
                    "credits": -1,
                    "duration_hours": "many",
                    "url": "javascript:alert(1)",
                    "language": "english language",
                    "terms": ["ok", "x" * 51],
                    "level": "x" * 51,
                    "published": "maybe",
                    "summary": "a\0b",
                },
            ),
            400,
        )
        assert {error["pointer"] for error in body["errors"]} == {
            "#/title",
            "#/field",
            "#/credits",
            "#/duration_hours",
            "#/url",
            "#/language",
            "#/terms/1",
            "#/level",
            "#/published",
            "#/summary",
        }
        assert not Course.objects.exists()

    def test_refuses_a_second_row_for_one_course(self, staff: APIClient, course: Course) -> None:
        twin = {"title": "Other", "field": "programming", "code": "cs-301", "provider": "example college"}
        [error] = problem(staff.post("/api/courses", twin), 400)["errors"]
        assert error == {"pointer": "#/code", "detail": "This course is there already: compilers."}

    def test_gives_a_title_that_is_taken_another_slug(self, staff: APIClient, course: Course) -> None:
        body = staff.post("/api/courses", {"title": "Compilers", "field": "programming", "code": "x"}).json()
        assert body["slug"] == "compilers-2"

    def test_that_meets_another_one_in_between_is_a_conflict(
        self, staff: APIClient, course: Course, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Entry, "_free_slug", lambda self, using: "compilers")
        problem(staff.post("/api/courses", NEW), 409)
        assert Course.objects.count() == 1

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[1]",
            b"null",
            b'"text"',
            b'{"title": "\\ud800", "field": "programming"}',
            b'{"title": NaN}',
            b'{"title": "x", "field": "programming", "credits": ' + b"9" * 5000 + b"}",
            b'{"title": "x", "field": "programming", "credits": 1e300}',
            b'{"title": "x", "field": "programming", "credits": "1E+999999"}',
            b'{"title": "x", "field": ["programming"]}',
            b'{"title": "x", "field": "a\\u0000b"}',
            b'{"title": {"a": 1}, "field": "programming"}',
            b'{"title": "\xff", "field": "programming"}',
            b"[" * 5000,
        ],
    )
    def test_of_no_course_is_refused(self, staff: APIClient, field: Field, body: bytes) -> None:
        problem(staff.post("/api/courses", body, content_type="application/json"), 400)
        assert not Course.objects.exists()

    def test_of_another_media_type_is_refused(self, staff: APIClient, field: Field) -> None:
        problem(staff.post("/api/courses", "title=x", content_type="application/x-www-form-urlencoded"), 415)

    @pytest.mark.parametrize("coding", ["gzip", "br", "gzip, identity", "aes128gcm"])
    @pytest.mark.parametrize("path", ["/api/courses", "/api/auth/token"])
    def test_that_is_compressed_is_refused(
        self, staff: APIClient, field: Field, path: str, coding: str
    ) -> None:
        """RFC 9110 §8.4: 415, and what would be taken; a body that was never compressed may say so."""
        body: Any = gzip.compress(b'{"title": "Operating Systems", "field": "programming"}')
        said = staff.generic("POST", path, body, "application/json", headers={"Content-Encoding": coding})
        problem(said, 415)
        assert said["Accept-Encoding"] == "identity"
        plain = staff.post("/api/courses", NEW, headers={"Content-Encoding": "identity"})
        assert plain.status_code == 201

    def test_of_too_many_bytes_is_refused(self, staff: APIClient, field: Field, settings: Settings) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
        problem(staff.post("/api/courses", {**NEW, "description": "x" * 100}), 413)


class TestChange:
    def test_by_put_makes_unknown_what_is_left_out(self, staff: APIClient, course: Course) -> None:
        body = staff.put("/api/courses/compilers", {"title": "Compilers II", "field": "programming"}).json()
        assert (body["slug"], body["title"], body["revision"]) == ("compilers", "Compilers II", 2)
        unknown = ("code", "summary", "level", "language", "duration_hours", "credits", "provider", "url")
        assert [body[name] for name in unknown] == [None] * len(unknown)
        assert (body["terms"], body["published"]) == ([], True)

    def test_by_put_of_what_get_gave_changes_nothing(self, staff: APIClient, course: Course) -> None:
        before = staff.get("/api/courses/compilers").json()
        assert staff.put("/api/courses/compilers", before).json() == before

    def test_by_patch_keeps_the_rest(self, staff: APIClient, course: Course) -> None:
        body = staff.patch("/api/courses/compilers/", {"level": ""}).json()
        assert (body["level"], body["code"], body["terms"]) == (None, "CS-301", ["2025-autumn"])

    def test_never_moves_the_address(self, staff: APIClient, course: Course) -> None:
        problem(staff.patch("/api/courses/compilers", {"slug": "other", "title": "Other"}), 400)
        body = staff.patch("/api/courses/compilers", {"title": "Other"}).json()
        assert (body["slug"], body["title"]) == ("compilers", "Other")

    def test_reaches_drafts(self, staff: APIClient, api: APIClient, course: Course) -> None:
        assert staff.patch("/api/courses/compilers", {"published": False}).json()["published"] is False
        problem(api.get("/api/courses/compilers"), 404)
        assert staff.patch("/api/courses/compilers", {"published": True}).status_code == 200
        assert api.get("/api/courses/compilers").status_code == 200

    def test_of_what_is_not_there_is_a_problem(self, staff: APIClient, field: Field) -> None:
        problem(staff.put("/api/courses/nope", NEW), 404)
        problem(staff.delete("/api/courses/a%00b"), 404)

    def test_that_fails_stores_nothing_at_all(
        self, staff: APIClient, course: Course, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(self: Any) -> None:
            raise RuntimeError("after the save")

        monkeypatch.setattr("learn.views.EntryViewSet._all", broken)
        staff.raise_request_exception = False
        problem(staff.patch("/api/courses/compilers", {"title": "Half"}), 500)
        assert Course.objects.get().title == "Compilers"
        assert not connection.needs_rollback


class TestDelete:
    def test_removes_the_entry(self, staff: APIClient, course: Course) -> None:
        response = staff.delete("/api/courses/compilers/")
        assert (response.status_code, response.content) == (204, b"")
        assert not Course.objects.exists()

    def test_of_a_parent_is_a_conflict(self, staff: APIClient, course: Course) -> None:
        body = problem(staff.delete("/api/fields/programming"), 409)
        assert body["detail"] == "This field has courses (1): move or delete those."
        problem(staff.delete("/api/categories/information-technology"), 409)
        assert Field.objects.exists()

    def test_of_a_list_is_no_method(self, staff: APIClient, course: Course) -> None:
        response = staff.delete("/api/courses")
        problem(response, 405)
        assert response["Allow"] == "GET, POST, HEAD, OPTIONS"


@pytest.mark.usefixtures("on_both_databases")
class TestOnBothDatabases:
    def test_a_course_is_created_changed_and_deleted(self, staff: APIClient, field: Field) -> None:
        assert staff.post("/api/courses", {**NEW, "terms": ["秋"], "credits": 1.25}).status_code == 201
        assert staff.patch("/api/courses/operating-systems", {"title": "Ядра"}).json()["revision"] == 2
        assert staff.get("/api/courses?search=ядра").json()["count"] == 1
        problem(staff.delete("/api/fields/programming"), 409)
        problem(staff.get("/api/courses/a%00b"), 404)
        problem(staff.post("/api/courses", {"title": "x", "field": "a\0b"}), 400)
        assert staff.delete("/api/courses/operating-systems").status_code == 204
