"""Say of an answer which tier gave it and how old it is: in headers, and in the body of a degraded one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse

from resilience.primitives.clock import iso

SOURCE_HEADER = "X-Data-Source"

# A cache in front may answer for half a minute, and for five while we cannot; a browser asks each time.
SHARED = "max-age=0, s-maxage=30, stale-if-error=300"
# What an account asked for is the same, but no shared cache should have to believe that.
PRIVATE = "private, max-age=0"
# A cache in front would go on serving a degraded answer after the recovery.
DEGRADED = {"cached": "no-cache", "static": "no-cache", "mock": "no-store"}

# Each tier that was passed over, in order, and why.
Passed = Sequence[tuple[str, str]]

_ENTRY_TAG = re.compile(r'"(\d{1,18})-[0-9a-f]{24}"')

_NOTICES = {
    "cached": "The database is not available at the moment. This answer was kept from earlier.",
    "static": "The database is not available at the moment. This is a copy of an earlier time.",
    "mock": "Neither the database nor a copy of it is available. These rows are made up, for development.",
}


def label(response: HttpResponse, source: str) -> None:
    """Say which tier the answer is from."""
    response[SOURCE_HEADER] = source


def miss(response: HttpResponse, passed: Passed) -> None:
    """Say in `Cache-Status` (RFC 9211) of a read that no tier could answer why each was passed over."""
    reasons = dict(passed)
    forward = "stale" if reasons.get("cached") == "stale" else "miss"
    response["Cache-Status"] = f'resilience; fwd={forward}; detail="{_words(passed)}"'


def age_of(as_of: datetime) -> int:
    """Return whole seconds since that moment, never below 0: clocks of two hosts differ."""
    return max(0, int((datetime.now(UTC) - as_of).total_seconds()))


def degrade(response: HttpResponse, source: str, as_of: datetime, *, passed: Passed) -> None:
    """Say in headers and body that this is a stand-in: member `degradation`, a tag and rules of its own.

    The tag is one that `If-Match` refuses: it names what a stand-in said, not a state of the catalogue.
    `Cache-Status` is that of RFC 9211: a stored answer is a hit, and stale for as long as it is degraded. Its
    `detail` names the tier, and why each one before it was passed over.
    """
    notice = {"source": source, "as_of": iso(as_of, "auto"), "notice": _NOTICES[source]}
    response.content = _with_member(response.content, "degradation", notice)
    response["ETag"] = f'"{source}-{_digest(response.content)}"'
    response["Cache-Control"] = DEGRADED[source]
    label(response, source)
    age = age_of(as_of)
    response["Age"] = str(age)
    response["Cache-Status"] = f'resilience; hit; ttl=-{age}; detail="{source} {_words(passed)}"'


def certify(request: HttpRequest, response: HttpResponse) -> None:
    """Give a live answer its tag, unless the view gave it one, and say who may keep it for how long."""
    if not response.has_header("ETag"):
        response["ETag"] = tag(response.content, getattr(response, "revision", None))
    response["Cache-Control"] = PRIVATE if "HTTP_AUTHORIZATION" in request.META else SHARED


def tag(body: bytes, revision: int | None = None) -> str:
    """Return the tag of a live answer.

    An entry's begins with its revision, which is what `If-Match` means: what the answer shows of its parents
    may change without it.
    """
    return f'"{_digest(body)}"' if revision is None else f'"{revision}-{_digest(body)}"'


def revision_of(given: str) -> int | None:
    """Return the revision that a strong tag names; None for any other."""
    found = _ENTRY_TAG.fullmatch(given)
    return None if found is None else int(found[1])


def is_degraded(given: str) -> bool:
    """Tell whether a tag is that of an answer that stood in for the database."""
    return given.removeprefix("W/").strip('"').partition("-")[0] in DEGRADED


def _words(passed: Passed) -> str:
    return " ".join(f"{tier}:{reason}" for tier, reason in passed)


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def _with_member(body: bytes, name: str, value: object) -> bytes:
    """Append a member to a JSON object, as bytes: a stored answer need not be read to be marked."""
    if not (body.startswith(b"{") and body.endswith(b"}")):
        return body
    member = f'"{name}":{json.dumps(value, separators=(",", ":"))}'.encode()
    return body[:-1] + (b"," if len(body) > 2 else b"") + member + b"}"
