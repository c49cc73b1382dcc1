"""Which errors of a database are an outage, and which are a bug."""

import sqlite3

import django.db
import psycopg
import pytest
from psycopg import errors

from resilience.db.failures import DatabaseDeadlineError
from resilience.db.outages import is_busy, is_outage
from resilience.db.table_locks import TableLockedError
from resilience.primitives import BulkheadFullError, DeadlineExceededError, RejectedError


def raised(kind: type[django.db.Error], cause: Exception | None = None) -> django.db.Error:
    """Return an error as Django hands it on."""
    error = kind("message")
    error.__cause__ = cause
    return error


def of_sqlite(kind: type[sqlite3.Error], code: int) -> sqlite3.Error:
    error = kind("message")
    error.sqlite_errorcode = code
    return error


OUTAGES = [
    raised(django.db.OperationalError, psycopg.OperationalError("server closed the connection")),
    raised(django.db.OperationalError, errors.QueryCanceled()),
    raised(django.db.OperationalError, errors.LockNotAvailable()),
    raised(django.db.OperationalError, errors.DeadlockDetected()),
    raised(django.db.InternalError, errors.ReadOnlySqlTransaction()),
    raised(django.db.InternalError, errors.DataCorrupted()),
    raised(django.db.InternalError, errors.IdleInTransactionSessionTimeout()),
    raised(django.db.InternalError, errors.lookup("25P04")()),
    raised(django.db.OperationalError, of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_BUSY)),
    raised(django.db.DatabaseError, of_sqlite(sqlite3.DatabaseError, sqlite3.SQLITE_NOTADB)),
    raised(django.db.InterfaceError, psycopg.InterfaceError("the connection is closed")),
]
BUGS = [
    raised(django.db.ProgrammingError, errors.UndefinedTable()),
    raised(django.db.IntegrityError, errors.UniqueViolation()),
    raised(django.db.DataError, errors.StringDataRightTruncation()),
    raised(django.db.OperationalError, of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_ERROR)),
    raised(django.db.ProgrammingError, psycopg.ProgrammingError("cannot adapt type")),
    ValueError("no database at all"),
]


@pytest.mark.parametrize("error", OUTAGES, ids=lambda error: type(error.__cause__).__name__)
def test_an_error_that_may_be_over_soon_is_an_outage(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize("error", BUGS, ids=lambda error: type(error.__cause__).__name__)
def test_an_error_that_the_database_answered_is_a_bug(error: Exception) -> None:
    assert not is_outage(error)


@pytest.mark.parametrize("error", OUTAGES, ids=lambda error: type(error.__cause__).__name__)
def test_only_a_lock_of_others_means_that_the_server_is_busy(error: Exception) -> None:
    locked = (errors.LockNotAvailable, errors.DeadlockDetected)
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    assert is_busy(error) == (isinstance(error.__cause__, locked) or code == sqlite3.SQLITE_BUSY)


@pytest.mark.parametrize("kind", [DeadlineExceededError, DatabaseDeadlineError])
def test_a_budget_that_was_spent_before_the_call_says_nothing_of_the_server(
    kind: type[DeadlineExceededError],
) -> None:
    assert is_busy(kind("too late", before_call=True))
    assert not is_busy(kind("no answer"))


def test_a_full_pool_and_a_table_that_others_hold_are_busy_too() -> None:
    for kind, busy in ((BulkheadFullError, True), (TableLockedError, True), (RejectedError, False)):
        assert is_busy(kind("read", retry_after=1.0, reason="refused")) == busy
