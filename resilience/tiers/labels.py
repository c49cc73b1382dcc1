"""Label an answer with its tier and its age: in headers, and in the body of a degraded one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse

from resilience.primitives.clock import iso
from resilience.request.response_headers import DATA_SOURCE, DEGRADED_REASON, Reason
from resilience.tiers import notice

# A cache in front may answer for 30 s, and for 5 minutes while we cannot. A browser asks each time.
SHARED = "max-age=0, s-maxage=30, stale-if-error=300"
# An answer to an account is the same, but shared caches need not rely on that.
PRIVATE = "private, max-age=0"
# Without these a cache in front would go on serving a degraded answer after the recovery.
DEGRADED = {"cached": "no-cache", "static": "no-cache", "mock": "no-store"}

# Each tier that was passed over, in order, and why.
Passed = Sequence[tuple[str, str]]

_ENTRY_TAG = re.compile(r'"(\d{1,18})-[0-9a-f]{24}"')

# What is true of the reason, and what is true of the tier.
_WHY: dict[Reason, str] = {
    "busy": "The site is busy at the moment.",
    "unavailable": "The database is not available at the moment.",
}
_WHAT = {
    "cached": "This answer was kept from earlier.",
    "static": "This is a copy of an earlier time.",
    "mock": "There is no copy of an earlier time either: these rows are made up, for development.",
}


def label(response: HttpResponse, source: str) -> None:
    """Set the header that names the answer's tier."""
    response[DATA_SOURCE] = source


def miss(response: HttpResponse, passed: Passed) -> None:
    """Set `Cache-Status` (RFC 9211) on a read that no tier could answer: why each was passed over."""
    reasons = dict(passed)
    forward = "stale" if reasons.get("cached") == "stale" else "miss"
    response["Cache-Status"] = f'resilience; fwd={forward}; detail="{_words(passed)}"'


def why(passed: Passed) -> Reason:
    """Return why a stand-in answers: as the live tier was passed over."""
    return "busy" if ("live", "busy") in passed else "unavailable"


def age_of(as_of: datetime) -> int:
    """Return whole seconds since that moment, never below 0, since clocks of two hosts differ."""
    return max(0, int((datetime.now(UTC) - as_of).total_seconds()))


def degrade(response: HttpResponse, source: str, as_of: datetime, *, passed: Passed) -> None:
    """Label an answer as a stand-in: a member `degradation` or a notice, its own tag, headers for caches.

    `reason`, in that member and in a header, says why the live tier was passed over.
    `If-Match` refuses the tag: it does not stand for a state of the catalogue. `Cache-Status` (RFC 9211) says
    that the answer was stored (`hit`) and for how many seconds it has been stale (`ttl` below 0). Its
    `detail` names the tier, and why each one before it was passed over.
    """
    reason = why(passed)
    said = {"source": source, "reason": reason, "as_of": iso(as_of, "auto")}
    said["notice"] = f"{_WHY[reason]} {_WHAT[source]}"
    if notice.takes(response):
        notice.fill(response, said)
    elif not response.has_header("Content-Encoding") and "json" in response.get("Content-Type", ""):
        response.content = _with_member(response.content, "degradation", said)
        if response.has_header("Content-Length"):
            response["Content-Length"] = str(len(response.content))
    response[DEGRADED_REASON] = reason
    response["ETag"] = f'"{source}-{_digest(response.content)}"'
    response["Cache-Control"] = DEGRADED[source]
    label(response, source)
    age = age_of(as_of)
    response["Age"] = str(age)
    response["Cache-Status"] = f'resilience; hit; ttl=-{age}; detail="{source} {_words(passed)}"'


def certify(request: HttpRequest, response: HttpResponse) -> None:
    """Give a live answer a tag, unless the view gave it one, and say who may keep it for how long."""
    if not response.has_header("ETag"):
        response["ETag"] = tag(response.content, getattr(response, "revision", None))
    response["Cache-Control"] = PRIVATE if "HTTP_AUTHORIZATION" in request.META else SHARED


def tag(body: bytes, revision: int | None = None) -> str:
    """Return the tag of a live answer.

    The tag of an entry begins with its revision, and `If-Match` compares only that: the part of the answer
    that shows the entry's parents may change without it.
    """
    return f'"{_digest(body)}"' if revision is None else f'"{revision}-{_digest(body)}"'


def revision_of(given: str) -> int | None:
    """Return the revision that a strong tag names; None for any other."""
    found = _ENTRY_TAG.fullmatch(given)
    return None if found is None else int(found[1])


def is_degraded(given: str) -> bool:
    """Tell whether a tag is that of a degraded answer."""
    return given.removeprefix("W/").strip('"').partition("-")[0] in DEGRADED


def _words(passed: Passed) -> str:
    return " ".join(f"{tier}:{reason}" for tier, reason in passed)


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def _with_member(body: bytes, name: str, value: object) -> bytes:
    """Append a member to a JSON object as bytes, so that a stored answer need not be parsed."""
    if not (body.startswith(b"{") and body.endswith(b"}")):
        return body
    member = f'"{name}":{json.dumps(value, separators=(",", ":"))}'.encode()
    return body[:-1] + (b"," if len(body) > 2 else b"") + member + b"}"
