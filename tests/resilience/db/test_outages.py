"""Which errors of a database are an outage, and which are a bug."""

import sqlite3

import django.db
import psycopg
import pytest
from psycopg import errors

from resilience.db.outages import is_outage


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
