"""A write with an Idempotency-Key is stored once; one with If-Match changes what its sender has seen."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS, connections
from rest_framework.test import APIClient

from learn.models import Course, Field
from resilience import registry
from resilience.answers import idempotency
from resilience.db.failures import OutcomeUnknownError
from resilience.models import IdempotencyKey
from resilience.testing import full_pool, server_role
from tests.learn.conftest import problem

pytestmark = pytest.mark.django_db
SignIn = Callable[..., APIClient]

NEW = {"title": "Operating Systems", "field": "programming"}
KEY = {"Idempotency-Key": "5a1c"}


class TestIdempotencyKey:
    def test_a_repeat_gets_the_first_answer(self, staff: APIClient, field: Field) -> None:
        first, second = (staff.post("/api/courses", NEW, headers=KEY) for _ in range(2))
        assert (first.status_code, second.status_code) == (201, 201)
        assert second.content == first.content
        assert (second["Location"], second["ETag"]) == (first["Location"], first["ETag"])
        assert (second["Idempotent-Replayed"], first.has_header("Idempotent-Replayed")) == ("true", False)
        assert Course.objects.count() == 1

    def test_the_order_of_members_does_not_count(self, staff: APIClient, field: Field) -> None:
        staff.post("/api/courses", NEW, headers=KEY)
        again = staff.post("/api/courses", dict(reversed(NEW.items())), headers=KEY)
        assert again["Idempotent-Replayed"] == "true"

    def test_another_body_is_refused(self, staff: APIClient, field: Field) -> None:
        staff.post("/api/courses", NEW, headers=KEY)
        problem(staff.post("/api/courses", {**NEW, "title": "Other"}, headers=KEY), 422)
        assert Course.objects.count() == 1

    @pytest.mark.parametrize(
        ("first", "second"),
        [('"5a1c"', "5a1c"), ("5a1c", '"5a1c"'), (r'"a\\b\"c"', r'a\b"c'), ('"5a1c"', '"5a1c"')],
    )
    def test_quotes_do_not_count(self, staff: APIClient, field: Field, first: str, second: str) -> None:
        staff.post("/api/courses", NEW, headers={"Idempotency-Key": first})
        again = staff.post("/api/courses", NEW, headers={"Idempotency-Key": second})
        assert again["Idempotent-Replayed"] == "true"

    def test_a_slash_at_the_end_of_the_address_does_not_count(self, staff: APIClient, field: Field) -> None:
        staff.post("/api/courses", NEW, headers=KEY)
        assert staff.post("/api/courses/", NEW, headers=KEY)["Idempotent-Replayed"] == "true"
        staff.post("/api/categories/", {"title": "Arts"}, headers=KEY)
        again = staff.post("/api/categories", {"title": "Arts"}, headers=KEY)
        assert again["Idempotent-Replayed"] == "true"

    @pytest.mark.parametrize(("path", "key"), [("/api/courses/", "5a1c"), ("/api/courses", '"5a1c"')])
    def test_an_earlier_release_s_answer_is_found(
        self, staff: APIClient, field: Field, path: str, key: str
    ) -> None:
        """It stored its answers under the address and the key as they were sent."""
        first = staff.post(path, NEW, headers={"Idempotency-Key": key})
        user = User.objects.get(username="editor")
        former = idempotency._digest(json.dumps([str(user.pk), "POST", path, key]))
        IdempotencyKey.objects.update(id=former)
        again = staff.post(path, NEW, headers={"Idempotency-Key": key})
        assert (again["Idempotent-Replayed"], again.content) == ("true", first.content)

    def test_a_key_is_its_sender_s_own(self, staff: APIClient, signed_in: SignIn, field: Field) -> None:
        staff.post("/api/courses", NEW, headers=KEY)
        other = signed_in("add_course").post("/api/courses", {**NEW, "title": "Other"}, headers=KEY)
        assert other.status_code == 201

    def test_a_key_is_its_address_s_own(self, staff: APIClient, field: Field) -> None:
        staff.post("/api/courses", NEW, headers=KEY)
        other = staff.post("/api/categories", {"title": "Arts"}, headers=KEY)
        assert other.status_code == 201

    def test_what_was_wrong_is_not_kept(self, staff: APIClient, field: Field) -> None:
        problem(staff.post("/api/courses", {"title": ""}, headers=KEY), 400)
        assert staff.post("/api/courses", NEW, headers=KEY).status_code == 201

    def test_permission_is_asked_again(self, staff: APIClient, signed_in: SignIn, field: Field) -> None:
        client = signed_in("add_course")
        client.post("/api/courses", NEW, headers=KEY)
        user = User.objects.get(user_permissions__codename="add_course")
        user.user_permissions.clear()
        client.force_authenticate(User.objects.get(pk=user.pk))
        problem(client.post("/api/courses", NEW, headers=KEY), 403)

    def test_a_repeat_is_answered_after_the_entry_was_deleted(self, staff: APIClient, field: Field) -> None:
        first = staff.post("/api/courses", NEW, headers=KEY)
        Course.objects.all().delete()
        assert staff.post("/api/courses", NEW, headers=KEY).content == first.content
        assert Course.objects.count() == 0

    @pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "naïve", '"', '""', '"half', '"a"b"'])
    def test_what_is_no_key_is_refused(self, staff: APIClient, field: Field, key: str) -> None:
        problem(staff.post("/api/courses", NEW, HTTP_IDEMPOTENCY_KEY=key), 400)
        assert Course.objects.count() == 0

    def test_is_forgotten_after_a_day(self, staff: APIClient, field: Field) -> None:
        staff.post("/api/courses", NEW, headers=KEY)
        kept = IdempotencyKey.objects.get()
        kept.created -= timedelta(hours=25)
        kept.save()
        again = staff.post("/api/courses", {**NEW, "title": "Other"}, headers=KEY)
        assert again.status_code == 201
        IdempotencyKey.objects.update(created=kept.created)
        idempotency.prune()
        assert IdempotencyKey.objects.count() == 0


class TestIfMatch:
    def test_takes_the_tag_of_the_entry_once(self, staff: APIClient, course: Course) -> None:
        seen = staff.patch("/api/courses/compilers", {"summary": "a"})["ETag"]
        first = staff.patch("/api/courses/compilers", {"summary": "b"}, headers={"If-Match": seen})
        assert first.status_code == 200
        problem(staff.patch("/api/courses/compilers", {"summary": "c"}, headers={"If-Match": seen}), 412)
        assert Course.objects.get().summary == "b"
        last = staff.patch("/api/courses/compilers", {"summary": "d"}, headers={"If-Match": first["ETag"]})
        assert last.status_code == 200

    @pytest.mark.parametrize("method", ["put", "patch", "delete"])
    @pytest.mark.parametrize(
        "tag", ['"0-000000000000000000000000"', 'W/"1-000000000000000000000000"', "1", '"x"', ""]
    )
    def test_refuses_any_other(self, staff: APIClient, course: Course, method: str, tag: str) -> None:
        problem(getattr(staff, method)("/api/courses/compilers", NEW, headers={"If-Match": tag}), 412)
        assert Course.objects.get().revision == 1

    @pytest.mark.parametrize("tag", ["*", '"x", "1-000000000000000000000000"'])
    def test_any_of_several_may_match(self, staff: APIClient, course: Course, tag: str) -> None:
        changed = staff.patch("/api/courses/compilers", {"summary": "a"}, headers={"If-Match": tag})
        assert changed.status_code == 200

    def test_the_tag_of_a_stand_in_is_refused_with_its_reason(self, staff: APIClient, course: Course) -> None:
        tag = '"static-000000000000000000000000"'
        said = problem(staff.delete("/api/courses/compilers", headers={"If-Match": tag}), 412)
        assert "degraded answer" in said["detail"]


class TestOutage:
    @pytest.fixture(autouse=True)
    def server(self, field: Field) -> Iterator[None]:
        with server_role():
            yield
        cache.clear()

    def test_the_live_answer_carries_the_tag_that_a_write_takes(
        self, staff: APIClient, course: Course
    ) -> None:
        tag = staff.get("/api/courses/compilers")["ETag"]
        changed = staff.patch("/api/courses/compilers", {"summary": "a"}, headers={"If-Match": tag})
        assert changed.status_code == 200
        assert changed["ETag"] != tag

    @pytest.mark.django_db(transaction=True)
    def test_a_refusal_says_that_nothing_was_stored(self, staff: APIClient) -> None:
        registry.breaker("database").isolate(who="test", why="test")
        response = staff.post("/api/courses", NEW)
        assert problem(response, 503)["outcome"] == "not_stored"
        assert int(response["Retry-After"]) >= 1

    def test_a_full_pool_says_so_too(self, staff: APIClient) -> None:
        with full_pool("write"):
            response = staff.post("/api/courses", NEW)
        assert problem(response, 503)["outcome"] == "not_stored"

    def test_an_end_that_nobody_saw_is_unknown(
        self, staff: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lost(*_: Any) -> None:
            raise OutcomeUnknownError("how it ended is unknown")

        monkeypatch.setattr(connections[DEFAULT_DB_ALIAS], "savepoint_commit", lost)
        response = staff.post("/api/courses", NEW)
        assert problem(response, 503)["outcome"] == "unknown"
