"""The journey with the client that openapi-generator makes, of pydantic and urllib3."""

import json
import sys
import uuid
from typing import Any

from pydantic_client import ApiClient, ApiException, AuthApi, Configuration, CoursesApi, HealthApi
from pydantic_client.models import (
    CourseRequest,
    CredentialsRequest,
    PatchedCourseRequest,
    Problem,
    RefreshTokenRequest,
)

URL, USER, PASSWORD, TOKEN, COURSE = sys.argv[1:]
# Its transport would wait as long as a 503's `Retry-After` says, and ask again, three times.
anybody = ApiClient(Configuration(host=URL, retries=0))
courses = CoursesApi(anybody)


def refusal(ask: Any, *arguments: Any, **options: Any) -> list[Any]:
    """Return the status with which a call is refused, and what became of the write, if it says so."""
    try:
        ask(*arguments, **options)
    except ApiException as error:
        problem = Problem.from_json(error.body)
        assert problem is not None
        return [error.status, problem.outcome]
    raise AssertionError(f"{ask} was not refused")


def header(response: Any, name: str) -> str:
    """Return a header; the client has them by their names as the server has written them."""
    return next(str(value) for key, value in response.headers.items() if key.lower() == name.lower())


def stand_in(shown: Any) -> Any:
    """Return where a degraded answer comes from; None for a live one."""
    return shown.degradation.source if shown.degradation else None


def main() -> dict[str, Any]:
    """Go the whole way; return what was met."""
    met: dict[str, Any] = {}
    page = courses.courses_list()
    met["list"] = [len(page.results), page.count, stand_in(page)]
    met["filter"] = courses.courses_list(search="africa", page_size=5).count
    number, slugs = 1, set()
    while True:
        page = courses.courses_list(page=number, page_size=100)
        slugs |= {course.slug for course in page.results}
        if page.next is None:
            break
        number += 1
    met["pages"] = len(slugs)
    entry = courses.courses_retrieve(COURSE)
    met["entry"] = [entry.slug, stand_in(entry)]
    met["missing"] = refusal(courses.courses_retrieve, "no-such-course")
    met["nobody"] = refusal(AuthApi(anybody).me)

    credentials = CredentialsRequest(username=USER, password=PASSWORD)
    try:
        tokens = AuthApi(anybody).sign_in(credentials)
        met["sign in"] = 200
    except ApiException as error:
        tokens, met["sign in"] = None, error.status
    ada = ApiClient(Configuration(host=URL, retries=0, access_token=tokens.access_token if tokens else TOKEN))
    met["who"] = AuthApi(ada).me().username

    mine = CoursesApi(ada)
    key, course = str(uuid.uuid4()), CourseRequest(title=f"A course of {uuid.uuid4()}", field=entry.var_field)
    slug, tag = COURSE, '"9-0"'
    try:
        made = mine.courses_create_with_http_info(course, idempotency_key=key)
        again = mine.courses_create_with_http_info(course, idempotency_key=key)
        slug, tag = made.data.slug, header(made, "ETag")
        met["create"] = [made.status_code, again.data.slug == slug, header(again, "Idempotent-Replayed")]
    except ApiException:
        met["create"] = refusal(mine.courses_create, course, idempotency_key=key)
    change = PatchedCourseRequest(title="Another title", language=None)
    met["change of another"] = refusal(
        mine.courses_partial_update, slug, patched_course_request=change, if_match='"9-0"'
    )
    try:
        met["change"] = mine.courses_partial_update(slug, patched_course_request=change, if_match=tag).title
    except ApiException:
        met["change"] = refusal(
            mine.courses_partial_update, slug, patched_course_request=change, if_match=tag
        )
    try:
        met["delete"] = mine.courses_destroy_with_http_info(slug).status_code
    except ApiException:
        met["delete"] = refusal(mine.courses_destroy, slug)
    token = RefreshTokenRequest(refresh_token=tokens.refresh_token if tokens else "none")
    try:
        met["sign out"] = AuthApi(anybody).sign_out_with_http_info(token).status_code
    except ApiException:
        met["sign out"] = refusal(AuthApi(anybody).sign_out, token)

    rating = courses.courses_rating_retrieve(COURSE)
    met["rating"] = [rating.rating is not None, stand_in(rating)]
    met["health"] = HealthApi(anybody).health().status
    return met


sys.stdout.write(json.dumps(main()))
