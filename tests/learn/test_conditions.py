"""A request with conditions is carried out where they hold, in the order of RFC 9110 §13.2.2, and only there.

Of the same kind: every method; entries and lists; live and stored answers; any, one or several tags; weak,
malformed, degraded ones and those of another entry; both conditions at once; conditions on time; what is not
there or not allowed, of which the conditions are not looked at.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from learn.models import Course
from resilience import registry
from resilience.testing import server_role
from resilience.tiers import fresh, stored
from tests.learn.conftest import problem

pytestmark = pytest.mark.django_db
AT = "/api/courses/compilers"
NEW = {"title": "Compilers II", "field": "programming"}
WRITES = ("put", "patch", "delete")
OTHER = '"7-000000000000000000000000"'


def send(client: APIClient, method: str, **headers: str) -> Any:
    body = None if method == "delete" else NEW
    return getattr(client, method)(
        AT, body, headers={name.replace("_", "-"): headers[name] for name in headers}
    )


@pytest.fixture
def tag(staff: APIClient, course: Course) -> str:
    return str(staff.patch(AT, {})["ETag"])


class TestWrites:
    @pytest.mark.parametrize("method", WRITES)
    @pytest.mark.parametrize(
        "headers",
        [
            {"If_None_Match": "*"},
            {"If_None_Match": " * "},
            {"If_None_Match": "{tag}"},
            {"If_None_Match": 'W/{tag}, "x"'},
            {"If_Match": OTHER},
            {"If_Match": "W/{tag}"},
            {"If_Match": ""},
            {"If_Match": "{bare}"},
            {"If_Match": '"static-000000000000000000000000"'},
            {"If_Match": "{tag}", "If_None_Match": "*"},
            {"If_Match": OTHER, "If_None_Match": OTHER},
        ],
        ids=str,
    )
    def test_are_refused_where_a_condition_does_not_hold(
        self, staff: APIClient, course: Course, tag: str, method: str, headers: dict[str, str]
    ) -> None:
        given = {name: value.format(tag=tag, bare=tag.strip('"')) for name, value in headers.items()}
        problem(send(staff, method, **given), 412)
        assert Course.objects.get().title == "Compilers"

    @pytest.mark.parametrize("method", WRITES)
    @pytest.mark.parametrize(
        "headers",
        [
            {"If_Match": "*"},
            {"If_Match": "{tag}"},
            {"If_Match": '"x", W/"y" ,{tag}'},
            {"If_None_Match": OTHER},
            {"If_None_Match": "compilers"},
            {"If_Match": "{tag}", "If_None_Match": OTHER},
            {"If_Match": "{tag}", "If_Unmodified_Since": "Thu, 01 Jan 1970 00:00:01 GMT"},
            {"If_Unmodified_Since": "Thu, 01 Jan 1970 00:00:01 GMT"},
            {"If_Modified_Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
        ],
        ids=str,
    )
    def test_are_carried_out_where_all_hold(
        self, staff: APIClient, course: Course, tag: str, method: str, headers: dict[str, str]
    ) -> None:
        """No answer of ours says when it was last changed, so conditions on time are ignored."""
        given = {name: value.format(tag=tag) for name, value in headers.items()}
        assert send(staff, method, **given).status_code in (200, 204)

    @pytest.mark.parametrize(
        "headers", [{"If-None-Match": "*"}, {"If-Match": OTHER}, {"If-Match": "*", "If-None-Match": "*"}]
    )
    def test_to_a_list_that_is_there_are_refused(
        self, staff: APIClient, course: Course, headers: dict[str, str]
    ) -> None:
        problem(staff.post("/api/courses", NEW, headers=headers), 412)
        problem(staff.post("/api/courses", NEW, headers={"Idempotency-Key": "k", **headers}), 412)
        assert Course.objects.count() == 1

    def test_to_a_list_are_carried_out_where_it_is_expected(self, staff: APIClient, course: Course) -> None:
        headers = {"If-Match": "*", "If-None-Match": OTHER}
        assert staff.post("/api/courses", NEW, headers=headers).status_code == 201

    def test_conditions_say_nothing_of_what_is_refused_anyhow(
        self, api: APIClient, staff: APIClient, course: Course
    ) -> None:
        headers = {"If-None-Match": "*"}
        problem(staff.put("/api/courses/nope", NEW, headers=headers), 404)
        problem(staff.put("/api/courses", NEW, headers=headers), 405)
        problem(api.put(AT, NEW, headers=headers), 401)


@pytest.mark.django_db(transaction=True)
class TestReads:
    @pytest.fixture(autouse=True)
    def server(self, course: Course) -> Iterator[None]:
        with server_role():
            registry.store().marks.rise(version=1)
            yield
        cache.clear()
        stored.forget()
        fresh.forget()

    @pytest.fixture(params=["live", "fresh", "front", "cached"])
    def get(self, request: pytest.FixtureRequest, api: APIClient) -> Callable[..., Any]:
        def ask(path: str, **headers: str) -> Any:
            said = {name.replace("_", "-"): value for name, value in headers.items()}
            if request.param == "live":
                cache.clear()
                stored.forget()
                fresh.forget()
            if request.param == "fresh":
                said["Origin"] = "https://other.example"  # It is not looked for in front.
            if request.param == "cached":
                api.get(path)
                registry.breaker("database").isolate(who="test", why="test")
                registry.store().marks.rise(version=registry.store().marks.read().version + 1)
            return api.get(path, headers=said)

        return ask

    @pytest.mark.parametrize("path", [AT, "/api/courses", "/api/categories?page_size=3"])
    def test_of_what_is_expected_and_of_nothing_else(self, get: Callable[..., Any], path: str) -> None:
        first = get(path)
        tag = first["ETag"]
        assert first.status_code == 200
        for holds in ("*", tag, f'"x", {tag}'):
            assert get(path, If_Match=holds).content == first.content
        for fails in ('"x"', f"W/{tag}", tag.strip('"'), ""):
            refused = get(path, If_Match=fails)
            problem(refused, 412)
            assert refused["Cache-Control"] == "no-store"
        assert get(path, If_Match=tag, If_None_Match=tag).status_code == 304
        problem(get(path, If_Match='"x"', If_None_Match=tag), 412)
        assert get(path, If_None_Match=f'W/{tag}, "x"').status_code == 304
        # A stand-in cannot confirm that what a client holds is what is there today.
        known = first["X-Data-Source"] == "live"
        assert get(path, If_None_Match="*").status_code == (304 if known else 200)
        assert get(path, If_None_Match='"x"').content == first.content
        for time in ("If_Modified_Since", "If_Unmodified_Since"):
            for moment in ("Thu, 01 Jan 1970 00:00:01 GMT", "Fri, 01 Jan 2100 00:00:00 GMT", "yesterday"):
                assert get(path, **{time: moment}).content == first.content

    def test_of_what_is_not_there_stay_what_they_are(self, api: APIClient) -> None:
        problem(api.get("/api/courses/nope", headers={"If-Match": '"x"'}), 404)
        problem(api.get("/api/courses?nope=1", headers={"If-Match": '"x"'}), 400)

    def test_by_head_too(self, api: APIClient) -> None:
        assert api.head(AT, headers={"If-Match": '"x"'}).status_code == 412
        assert api.head(AT, headers={"If-Match": "*"}).status_code == 200

    @pytest.mark.parametrize(
        "path", ["/", "/api/health", "/api/schema", "/static/resilience/board.css", "/admin/login/"]
    )
    def test_of_all_other_addresses(self, api: APIClient, path: str) -> None:
        before, after = "Thu, 01 Jan 1970 00:00:01 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"

        def ask(**headers: str) -> Any:
            answer = api.get(path, headers={name.replace("_", "-"): headers[name] for name in headers})
            answer.close()
            return answer

        first = ask()
        assert ask(If_Match="*").status_code == 200
        assert ask(If_Match='"x"').status_code == 412
        assert ask(If_Unmodified_Since=after).status_code == 200
        if "ETag" in first:
            assert ask(If_Match=first["ETag"]).status_code == 200
        if "Last-Modified" in first:
            assert ask(If_Unmodified_Since=before).status_code == 412
