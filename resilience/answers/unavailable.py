"""The 503 of a request that was ended by a dependency, not by an error of the program."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from resilience.answers.pages import page
from resilience.db import failures
from resilience.db.outages import reason_of, retry_after
from resilience.problems import API, BUSY, UNAVAILABLE, refusal
from resilience.request.response_headers import Reason
from resilience.request.scope import has_committed, is_read

NOT_SEEN = (
    "The connection was lost at the very end: nobody knows whether this was stored. Repeat it with the same "
    "Idempotency-Key, which settles it, or look before you repeat it."
)
# Why nothing answers, and why not even the copy does.
_WHY: dict[Reason, str] = {"busy": BUSY, "unavailable": UNAVAILABLE}
_NOT_HELD: dict[Reason, str] = {
    "busy": "The site is busy at the moment, and the copy that answers instead does not hold this. "
    "It may exist. Please try again shortly.",
    "unavailable": "The database is not available at the moment, and the copy that answers instead does not "
    "hold this. It may exist. Please try again shortly.",
}
# The page loads nothing; it has a few styles of its own.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def unavailable(error: BaseException, *, writes: bool) -> HttpResponse:
    """Return the 503 as a problem, with its `reason`, `Retry-After` and, of a write, its `outcome`."""
    reason, seconds = reason_of(error), retry_after(error)
    if not writes:
        return unavailable_for(seconds, reason)
    if _is_unknown(error):
        return _refusal(NOT_SEEN, seconds, reason, outcome="unknown")
    return _refusal(f"{_WHY[reason]} Nothing was stored.", seconds, reason, outcome="not_stored")


def unavailable_for(seconds: float, reason: Reason) -> HttpResponse:
    """Return the 503 of a read that no tier can answer; it may be asked again in `seconds`."""
    return _refusal(_WHY[reason], seconds, reason)


def not_held(seconds: float, reason: Reason) -> HttpResponse:
    """Return the 503 of a read of something that the static copy does not hold, but the database may."""
    return _refusal(_NOT_HELD[reason], seconds, reason)


def for_request(request: HttpRequest, error: BaseException) -> HttpResponse:
    """Return the 503 to this request: a problem under `/api/`, a page for people elsewhere."""
    writes = not is_read(request)
    response = unavailable(error, writes=writes)
    busy, unknown = reason_of(error) == "busy", writes and _is_unknown(error)
    return for_people(request, response, busy=busy, writes=writes, unknown=unknown)


def for_people(
    request: HttpRequest, response: HttpResponse, *, busy: bool, writes: bool = False, unknown: bool = False
) -> HttpResponse:
    """Make a page of the problem of a 503, unless the address is below `/api/`; return it."""
    if not request.path_info.startswith(API):
        said = {
            "seconds": response["Retry-After"],
            "writes": writes,
            "unknown": unknown,
            "busy": busy,
        }
        response.content = page("resilience/503.html", said)
        response["Content-Type"] = "text/html; charset=utf-8"
        response["Content-Security-Policy"] = _POLICY
    return response


def _is_unknown(error: BaseException) -> bool:
    """Tell whether a write that ended with this error may have been stored or not."""
    return isinstance(error, failures.OutcomeUnknownError) or has_committed()


def _refusal(detail: str, seconds: float, reason: Reason, **said: str) -> HttpResponse:
    response = refusal(detail, seconds, reason, **said)
    response["Cache-Control"] = "no-store"
    return response
