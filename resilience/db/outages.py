"""Which exceptions mean that a dependency, and not the program, ended a request."""

from __future__ import annotations

import sqlite3

import django.db

from resilience import registry
from resilience.db import failures
from resilience.primitives import DeadlineExceededError, Outcome, RejectedError
from resilience.request.response_headers import Reason

# Seconds to wait after a failure without an open breaker: the next request may succeed.
SOON = 1.0
# The class of SQLSTATEs for a transaction that lost against another (deadlock, serialisation): try again.
ROLLED_BACK = "40"
_LOCK_NOT_AVAILABLE = "55P03"


def is_outage(error: BaseException) -> bool:
    """Tell whether a later try may help: after a refusal, a spent budget, a database that failed or is busy.

    A missing table or a wrong statement is a bug, answered by a database that works: it stays a 500.
    """
    if isinstance(error, RejectedError | DeadlineExceededError | failures.OutcomeUnknownError):
        return True
    if not isinstance(error, django.db.Error):
        return False
    if (first := failures.ended_before(error)) is not None:
        refused = isinstance(first, RejectedError | DeadlineExceededError)
        return refused or failures.is_of_database(first)  # else it was a bug in the program
    outcome = failures.classify(error)
    if outcome in (Outcome.FAILURE, Outcome.SLOW):
        return True  # of any class: a primary that became read-only raises InternalError
    state = getattr(failures.driver_error(error), "sqlstate", None) or ""
    # is_dead: the error of a session that was idle in its transaction for too long may have any class, too.
    busy = isinstance(error, django.db.OperationalError | django.db.InterfaceError) or failures.is_dead(error)
    return state.startswith(ROLLED_BACK) or (busy and outcome is Outcome.IGNORED)


def is_busy(error: BaseException) -> bool:
    """Tell of an outage whether the server is well and others were first: a full pool, or their lock.

    So is a budget that was spent before the call: what was asked until then has been answered, but too late.
    """
    if isinstance(error, RejectedError) and error.busy:
        return True
    if isinstance(error, DeadlineExceededError):
        return error.before_call
    cause = failures.first_error(error)
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    state = getattr(cause, "sqlstate", None) or ""
    return state == _LOCK_NOT_AVAILABLE or state.startswith(ROLLED_BACK)


def reason_of(error: BaseException) -> Reason:
    """Return why an outage has ended a request, in the word that clients see."""
    return "busy" if is_busy(error) else "unavailable"


def retry_after(error: BaseException) -> float:
    """Return the seconds after which another try makes sense."""
    if isinstance(error, RejectedError):
        return error.retry_after
    return registry.breaker("database").snapshot().retry_after or SOON
