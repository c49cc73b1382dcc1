"""Decide whether an error counts as a failure of the database, a slow call, or an answer.

PostgreSQL's errors are told apart by SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html),
SQLite's by result code (https://www.sqlite.org/rescode.html): "no such table" and "database is locked" are
both ``OperationalError`` there, so the class alone says nothing.
"""

from __future__ import annotations

import sqlite3
from typing import Self

import django.db
from django.db.transaction import TransactionManagementError

from resilience.causes import is_of
from resilience.primitives import BreakerOpenError, DeadlineExceededError, Outcome


class WaitCutError(Exception):
    """A driver's error: the budget ended while the server was silent, and the client stopped waiting."""


class NotSentError(Exception):
    """A driver's error: the budget was spent before anything was sent."""


class LostError(Exception):
    """A driver's error: the connection was lost, so that no answer will come."""


class DatabaseRefusedError(BreakerOpenError, django.db.OperationalError):
    """The breaker refused the call. Django's own code sees it as a database error."""

    @classmethod
    def of(cls, refusal: BreakerOpenError) -> Self:
        """Return a breaker's refusal as this class, which code that catches Django's errors catches too."""
        return cls(refusal._circuit_breaker, refusal.name, refusal.retry_after, refusal.reason)


class DatabaseDeadlineError(DeadlineExceededError, django.db.OperationalError):
    """The client stopped waiting. If ``before_call`` is true, nothing was sent."""


class OutcomeUnknownError(django.db.OperationalError):
    """The connection was lost, or the client stopped waiting, while something was being stored.

    It may be stored or not. Find out which before repeating it.
    """


class NotStoredError(django.db.OperationalError):
    """Nothing of a transaction is stored, because an error that was caught within it had ended it.

    `__cause__` is that error as the driver raised it. Another try, from the beginning, may succeed.
    """


# These may derive from a driver's own errors, too.
_OF_ANY_DRIVER = WaitCutError | NotSentError | LostError
# Its errors are told by the package that defines them, since a project may do without it.
_PSYCOPG = "psycopg"

# Errors of our own. The breaker was told of the call where they were raised.
TOLD = (DatabaseRefusedError, DatabaseDeadlineError, NotStoredError, OutcomeUnknownError)

# "current transaction is aborted, commands ignored until end of transaction block"
IN_FAILED_TRANSACTION = "25P02"

# After one of these a connection is useless. 25006: after a failover the former primary is read-only
# and still accepts connections, so each kept one would fail until it is replaced.
_DEAD = {"57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04", "25006"}

# The longest prefix wins. A state without an entry was answered by a server that works.
_BY_SQLSTATE = {
    "08": Outcome.FAILURE,  # connection lost or refused
    "53": Outcome.FAILURE,  # disk full, out of memory, too many connections …
    "53400": Outcome.ANSWERED,  # … but not a limit that was set for one query
    "57P01": Outcome.FAILURE,  # shut down by an administrator
    "57P02": Outcome.FAILURE,  # shut down by a crash of another backend
    "57P03": Outcome.FAILURE,  # starting up, or not accepting connections
    "57P04": Outcome.FAILURE,  # the database was dropped
    "58": Outcome.FAILURE,  # input or output error below the server
    "F0": Outcome.FAILURE,  # its configuration file is damaged
    "XX001": Outcome.FAILURE,  # data damaged
    "XX002": Outcome.FAILURE,  # index damaged
    "25006": Outcome.FAILURE,  # read-only: no longer the primary
    "57014": Outcome.SLOW,  # ended by our own statement_timeout
    "25P04": Outcome.SLOW,  # ended by transaction_timeout
    "55P03": Outcome.IGNORED,  # lock not available: another client holds it
    "57P05": Outcome.IGNORED,  # a kept connection was idle for too long …
    "25P03": Outcome.IGNORED,  # … or idle within a transaction, which is our own doing
}

_BY_SQLITE_CODE = {
    sqlite3.SQLITE_IOERR: Outcome.FAILURE,
    sqlite3.SQLITE_CORRUPT: Outcome.FAILURE,
    sqlite3.SQLITE_NOTADB: Outcome.FAILURE,
    sqlite3.SQLITE_FULL: Outcome.FAILURE,
    sqlite3.SQLITE_CANTOPEN: Outcome.FAILURE,
    sqlite3.SQLITE_READONLY: Outcome.FAILURE,
    sqlite3.SQLITE_NOMEM: Outcome.FAILURE,
    sqlite3.SQLITE_PROTOCOL: Outcome.FAILURE,
    sqlite3.SQLITE_PERM: Outcome.FAILURE,
    sqlite3.SQLITE_BUSY: Outcome.IGNORED,
    sqlite3.SQLITE_LOCKED: Outcome.IGNORED,
}


def driver_error(error: BaseException) -> BaseException:
    """Return the driver's error below one of Django's, or the error itself."""
    cause = error.__cause__
    return cause if isinstance(error, django.db.Error) and cause is not None else error


def _refers(error: BaseException) -> bool:
    """Tell whether `error` only says that an earlier error had ended the transaction."""
    aborted = getattr(error, "sqlstate", None) == IN_FAILED_TRANSACTION
    return aborted or isinstance(error, NotStoredError | TransactionManagementError)


def first_error(error: BaseException) -> BaseException:
    """Return the driver's error, or the program's own, that ended the transaction."""
    while error.__cause__ is not None and (isinstance(error, django.db.Error) or _refers(error)):
        error = error.__cause__
    return error


def ended_before(error: BaseException) -> BaseException | None:
    """Return the error that had ended the transaction; None if this one does not refer to an earlier one."""
    if not (_refers(error) or _refers(driver_error(error))):
        return None
    first = first_error(error)
    return None if _refers(first) else first


def is_of_database(error: BaseException) -> bool:
    """Tell whether Django's database layer or a driver raised this."""
    return isinstance(error, django.db.Error | sqlite3.Error | _OF_ANY_DRIVER) or is_of(error, _PSYCOPG)


def classify(error: BaseException, *, cut: Outcome = Outcome.FAILURE) -> Outcome:
    """Return what an error, Django's or the driver's, counts as. An unknown error is ignored.

    ``cut`` is the outcome if the client stopped waiting, which depends on how long it had waited.
    """
    error = driver_error(error)
    if was_cut(error):
        return cut
    if isinstance(error, NotSentError):
        return Outcome.IGNORED
    if isinstance(error, LostError):
        return Outcome.FAILURE
    if is_of(error, _PSYCOPG):
        return _postgresql(error)
    if isinstance(error, sqlite3.Error):
        return _sqlite(error)
    # A refusal, a budget that was spent before, an interrupt, or a bug in the caller's code.
    return Outcome.IGNORED


def was_cut(error: BaseException) -> bool:
    """Tell whether a driver's error is that of a wait which the client has ended."""
    return isinstance(error, WaitCutError) or is_of(error, _PSYCOPG, "ConnectionTimeout")


def _postgresql(error: BaseException) -> Outcome:
    state = _sqlstate(error)
    if state is None:
        return Outcome.FAILURE if is_lost(error) else Outcome.IGNORED
    for length in (5, 2):
        if (outcome := _BY_SQLSTATE.get(state[:length])) is not None:
            return outcome
    return Outcome.ANSWERED


def _sqlite(error: sqlite3.Error) -> Outcome:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by Python's module: the statement did not reach SQLite
        return Outcome.IGNORED
    family = code & 0xFF
    return _BY_SQLITE_CODE.get(family, Outcome.ANSWERED)


# When connecting fails, libpq keeps the server's text but not its SQLSTATE (53300).
_FULL = ("too many clients", "too many connections", "connection slots are reserved")


def is_full(error: BaseException) -> bool:
    """Tell whether a server refused a connection because it has too many."""
    return is_of(error, _PSYCOPG, "OperationalError") and any(words in str(error) for words in _FULL)


def is_lost(error: BaseException) -> bool:
    """Tell whether the connection to a PostgreSQL server was lost, so that no answer will come."""
    error = driver_error(error)
    if isinstance(error, LostError):
        return True
    if not is_of(error, _PSYCOPG, "OperationalError") or isinstance(error, WaitCutError | NotSentError):
        return False
    if (state := _sqlstate(error)) is not None:
        return state.startswith("08") or state in _DEAD
    # Without a SQLSTATE the error is libpq's own. If the connection was closed before, its loss is counted.
    return str(error) != "the connection is closed"


def is_dead(error: BaseException) -> bool:
    """Tell whether the connection that raised this must be closed."""
    error = driver_error(error)
    return (
        isinstance(error, WaitCutError)
        or is_lost(error)
        or (is_of(error, _PSYCOPG) and _sqlstate(error) in _DEAD)
    )


def _sqlstate(error: BaseException) -> str | None:
    state: str | None = getattr(error, "sqlstate", None)
    return state
