"""Which exceptions mean that a dependency, and not the program, ended a request."""

from __future__ import annotations

import django.db
from django.http import HttpResponse

from resilience import registry
from resilience.db import failures
from resilience.primitives import DeadlineExceededError, Outcome, RejectedError
from resilience.problems import UNAVAILABLE, come_back, problem
from resilience.scope import has_committed

# A dependency that failed once, or was busy, may be well with the next request.
SOON = 1.0
NOT_SEEN = (
    "The connection was lost at the very end: nobody knows whether this was stored. Repeat it with the same "
    "Idempotency-Key, which settles it, or look before you repeat it."
)
# The class of SQLSTATEs that means: lost against another transaction, ask again (deadlock, serialisation).
ROLLED_BACK = "40"


def is_outage(error: BaseException) -> bool:
    """Tell whether asking again later may help: a refusal, a spent budget, a database that failed or is busy.

    A missing table or a wrong statement was answered by a database that works: a bug, which stays a 500.
    """
    if isinstance(error, RejectedError | DeadlineExceededError | failures.OutcomeUnknownError):
        return True
    if not isinstance(error, django.db.Error):
        return False
    if (first := failures.ended_before(error)) is not None:
        refused = isinstance(first, RejectedError | DeadlineExceededError)
        return refused or failures.is_of_database(first)  # else it was a mistake of the program's own
    outcome = failures.classify(error)
    if outcome in (Outcome.FAILURE, Outcome.SLOW):
        return True  # of whatever class: a primary that became read-only raises InternalError
    state = getattr(failures.driver_error(error), "sqlstate", None) or ""
    # Of whatever class too: a session that was idle within its transaction for too long.
    busy = isinstance(error, django.db.OperationalError | django.db.InterfaceError) or failures.is_dead(error)
    return state.startswith(ROLLED_BACK) or (busy and outcome is Outcome.IGNORED)


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


def retry_after(error: BaseException) -> float:
    """Return in how many seconds asking again makes sense."""
    if isinstance(error, RejectedError):
        return error.retry_after
    return registry.breaker("database").snapshot().retry_after or SOON
