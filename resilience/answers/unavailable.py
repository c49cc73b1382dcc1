"""The 503 of a request that a dependency, and not the program, ended."""

from __future__ import annotations

from django.http import HttpResponse

from resilience.db import failures
from resilience.db.outages import retry_after
from resilience.problems import UNAVAILABLE, come_back, problem
from resilience.request.scope import has_committed

NOT_SEEN = (
    "The connection was lost at the very end: nobody knows whether this was stored. Repeat it with the same "
    "Idempotency-Key, which settles it, or look before you repeat it."
)


def unavailable(error: BaseException, *, writes: bool) -> HttpResponse:
    """Build the 503 problem that says when to come back and, of a write, what became of it (`outcome`)."""
    said: dict[str, str] = {}
    detail = UNAVAILABLE
    if writes:
        known = not (isinstance(error, failures.OutcomeUnknownError) or has_committed())
        said["outcome"] = "not_stored" if known else "unknown"
        detail = f"{UNAVAILABLE} Nothing was stored." if known else NOT_SEEN
    response = problem(503, detail=detail, **said)
    come_back(response, retry_after(error))
    response["Cache-Control"] = "no-store"
    return response
