"""The journey with the client that openapi-python-client makes, of attrs and httpx."""

import json
import sys
import uuid
from typing import Any

from attrs_client import AuthenticatedClient, Client
from attrs_client.api.auth import me, sign_in, sign_out
from attrs_client.api.courses import (
    courses_create,
    courses_destroy,
    courses_list,
    courses_partial_update,
    courses_rating_retrieve,
    courses_retrieve,
)
from attrs_client.api.health import health
from attrs_client.models import (
    CourseRequest,
    CredentialsRequest,
    PatchedCourseRequest,
    Problem,
    RefreshTokenRequest,
)

URL, USER, PASSWORD, TOKEN, COURSE = sys.argv[1:]
anybody = Client(base_url=URL, raise_on_unexpected_status=True)


def refused(answer: Any) -> list[Any]:
    """Return the status of a refusal and what became of the write, if it says so."""
    assert isinstance(answer.parsed, Problem), answer
    return [answer.status_code, answer.parsed.outcome or None]


def stand_in(shown: Any) -> Any:
    """Return where a degraded answer comes from; None for a live one."""
    return shown.degradation.source if shown.degradation else None


def main() -> dict[str, Any]:
    """Go the whole way; return what was met."""
    met: dict[str, Any] = {}
    page = courses_list.sync(client=anybody)
    met["list"] = [len(page.results), page.count, stand_in(page)]
    met["filter"] = courses_list.sync(client=anybody, search="africa", page_size=5).count
    number, slugs = 1, set()
    while True:
        page = courses_list.sync(client=anybody, page=number, page_size=100)
        slugs |= {course.slug for course in page.results}
        if page.next_ is None:
            break
        number += 1
    met["pages"] = len(slugs)
    entry = courses_retrieve.sync(COURSE, client=anybody)
    met["entry"] = [entry.slug, stand_in(entry)]
    met["missing"] = refused(courses_retrieve.sync_detailed("no-such-course", client=anybody))
    met["nobody"] = refused(me.sync_detailed(client=anybody))

    signed = sign_in.sync_detailed(client=anybody, body=CredentialsRequest(username=USER, password=PASSWORD))
    met["sign in"] = signed.status_code
    tokens = signed.parsed if signed.status_code == 200 else None
    ada = AuthenticatedClient(base_url=URL, token=tokens.access_token if tokens else TOKEN)
    met["who"] = me.sync(client=ada).username

    key, course = str(uuid.uuid4()), CourseRequest(title=f"A course of {uuid.uuid4()}", field=entry.field)
    made = courses_create.sync_detailed(client=ada, body=course, idempotency_key=key)
    again = courses_create.sync_detailed(client=ada, body=course, idempotency_key=key)
    if made.status_code == 201:
        met["create"] = [201, again.parsed.slug == made.parsed.slug, again.headers["Idempotent-Replayed"]]
    else:
        met["create"] = refused(made)
    slug = made.parsed.slug if made.status_code == 201 else COURSE
    change = PatchedCourseRequest(title="Another title", language=None)
    met["change of another"] = refused(
        courses_partial_update.sync_detailed(slug, client=ada, body=change, if_match='"9-0"')
    )
    tag = made.headers.get("ETag", '"9-0"')
    changed = courses_partial_update.sync_detailed(slug, client=ada, body=change, if_match=tag)
    met["change"] = changed.parsed.title if changed.status_code == 200 else refused(changed)
    gone = courses_destroy.sync_detailed(slug, client=ada)
    met["delete"] = gone.status_code if gone.status_code == 204 else refused(gone)
    left = sign_out.sync_detailed(
        client=anybody, body=RefreshTokenRequest(refresh_token=tokens.refresh_token if tokens else "none")
    )
    met["sign out"] = left.status_code if left.status_code == 204 else refused(left)

    rating = courses_rating_retrieve.sync(COURSE, client=anybody)
    met["rating"] = [rating.rating is not None, stand_in(rating)]
    met["health"] = health.sync(client=anybody).status
    return met


sys.stdout.write(json.dumps(main()))
