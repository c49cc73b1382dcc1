"""Which exceptions mean that a dependency, and not the program, ended a request."""

from __future__ import annotations

import sqlite3

import django.db

from resilience import registry
from resilience.db import failures
from resilience.db.table_locks import TableLockedError
from resilience.primitives import BulkheadFullError, DeadlineExceededError, Outcome, RejectedError

# A dependency that failed once, or was busy, may be well with the next request.
SOON = 1.0
# The class of SQLSTATEs that means: lost against another transaction, ask again (deadlock, serialisation).
ROLLED_BACK = "40"
_LOCK_NOT_AVAILABLE = "55P03"


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


def is_busy(error: BaseException) -> bool:
    """Tell of an outage whether the server is well and others were first: a full pool, or their lock."""
    if isinstance(error, BulkheadFullError | TableLockedError):
        return True
    cause = failures.first_error(error)
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    state = getattr(cause, "sqlstate", None) or ""
    return state == _LOCK_NOT_AVAILABLE or state.startswith(ROLLED_BACK)


def retry_after(error: BaseException) -> float:
    """Return in how many seconds asking again makes sense."""
    if isinstance(error, RejectedError):
        return error.retry_after
    return registry.breaker("database").snapshot().retry_after or SOON
