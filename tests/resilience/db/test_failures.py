"""What an error says about the database, by SQLSTATE, by result code and by class."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import django.db
import psycopg
import pytest
from psycopg import errors

from resilience.db.connection import CutError, SpentError
from resilience.db.failures import (
    DatabaseDeadlineError,
    DatabaseRefusedError,
    classify,
    is_dead,
    is_lost,
)
from resilience.primitives import BreakerOpenError, BulkheadFullError, CircuitBreaker, Outcome

FAILURE, SLOW, ANSWERED, IGNORED = Outcome.FAILURE, Outcome.SLOW, Outcome.ANSWERED, Outcome.IGNORED

POSTGRESQL = [
    # state, what it means, outcome, whether the connection is of no further use
    ("08000", "connection exception", FAILURE, True),
    ("08003", "connection does not exist", FAILURE, True),
    ("08006", "connection failure", FAILURE, True),
    ("08P01", "protocol violation", FAILURE, True),
    ("57P01", "shut down by an administrator", FAILURE, True),
    ("57P02", "shut down by a crash", FAILURE, True),
    ("57P03", "cannot connect now", FAILURE, True),
    ("57P04", "database dropped", FAILURE, True),
    ("53000", "insufficient resources", FAILURE, False),
    ("53100", "disk full", FAILURE, False),
    ("53200", "out of memory", FAILURE, False),
    ("53300", "too many connections", FAILURE, False),
    ("58030", "input or output error", FAILURE, False),
    ("58P01", "undefined file", FAILURE, False),
    ("XX001", "data corrupted", FAILURE, False),
    ("XX002", "index corrupted", FAILURE, False),
    ("25006", "read-only after a failover", FAILURE, True),
    ("57014", "ended by statement_timeout", SLOW, False),
    ("25P04", "ended by transaction_timeout", SLOW, True),
    ("55P03", "lock not available", IGNORED, False),
    ("57P05", "ended for being idle", IGNORED, True),
    ("25P03", "ended for being idle in a transaction", IGNORED, True),
    ("40P01", "deadlock", ANSWERED, False),
    ("40001", "serialisation", ANSWERED, False),
    ("23505", "unique violation", ANSWERED, False),
    ("23503", "foreign key violation", ANSWERED, False),
    ("42601", "syntax error", ANSWERED, False),
    ("42P01", "missing table", ANSWERED, False),
    ("42501", "insufficient privilege", ANSWERED, False),
    ("22001", "value too long", ANSWERED, False),
    ("53400", "limit of one query", ANSWERED, False),
    ("28P01", "wrong password", ANSWERED, False),
    ("25P02", "in a failed transaction", ANSWERED, False),
    ("P0001", "raised by a function", ANSWERED, False),
    ("XX000", "a fault of the server's own, for this query", ANSWERED, False),
]

SQLITE = [
    (sqlite3.SQLITE_IOERR, FAILURE),
    (sqlite3.SQLITE_IOERR_FSYNC, FAILURE),
    (sqlite3.SQLITE_CORRUPT, FAILURE),
    (sqlite3.SQLITE_NOTADB, FAILURE),
    (sqlite3.SQLITE_FULL, FAILURE),
    (sqlite3.SQLITE_CANTOPEN, FAILURE),
    (sqlite3.SQLITE_READONLY, FAILURE),
    (sqlite3.SQLITE_NOMEM, FAILURE),
    (sqlite3.SQLITE_BUSY, IGNORED),
    (sqlite3.SQLITE_BUSY_SNAPSHOT, IGNORED),
    (sqlite3.SQLITE_LOCKED, IGNORED),
    (sqlite3.SQLITE_ERROR, ANSWERED),
    (sqlite3.SQLITE_CONSTRAINT, ANSWERED),
    (sqlite3.SQLITE_CONSTRAINT_UNIQUE, ANSWERED),
    (sqlite3.SQLITE_MISMATCH, ANSWERED),
]

# Without a SQLSTATE it is libpq or psycopg that speaks.
CLIENT = [
    (psycopg.OperationalError("server closed the connection unexpectedly"), FAILURE),
    (psycopg.OperationalError("connection failed: Connection refused"), FAILURE),
    (psycopg.OperationalError("sending query failed: SSL error"), FAILURE),
    (psycopg.OperationalError("the connection is closed"), IGNORED),
    (psycopg.ProgrammingError("cannot adapt type"), IGNORED),
    (psycopg.DataError("PostgreSQL text fields cannot contain NUL"), IGNORED),
    (psycopg.InterfaceError("the cursor is closed"), IGNORED),
    (SpentError("nothing was sent"), IGNORED),
    (sqlite3.ProgrammingError("You can only execute one statement at a time."), IGNORED),
    (django.db.OperationalError("raised by Django itself"), IGNORED),
    (BulkheadFullError("read", retry_after=1.0, reason="full"), IGNORED),
    (DatabaseDeadlineError("spent", before_call=True), IGNORED),
    (KeyboardInterrupt(), IGNORED),
    (TypeError("a fault of our own"), IGNORED),
]


def postgresql_error(state: str) -> psycopg.Error:
    try:
        return errors.lookup(state)("message")
    except KeyError:
        error = errors.get_base_exception(state)("message")
        error.sqlstate = state
        return error


def as_django_raises(error: Exception) -> django.db.Error:
    raised = django.db.OperationalError(*error.args)
    raised.__cause__ = error
    return raised


class TestPostgreSQL:
    @pytest.mark.parametrize(("state", "meaning", "outcome", "dead"), POSTGRESQL)
    def test_is_told_apart_by_sqlstate(self, state: str, meaning: str, outcome: Outcome, dead: bool) -> None:
        error = postgresql_error(state)
        assert error.sqlstate == state
        assert (classify(error), is_dead(error)) == (outcome, dead), meaning

    def test_is_seen_below_djangos_own_error(self) -> None:
        assert classify(as_django_raises(errors.AdminShutdown())) is FAILURE
        assert classify(as_django_raises(errors.UndefinedTable())) is ANSWERED

    def test_that_is_silent_has_failed(self) -> None:
        assert classify(CutError("no answer")) is FAILURE
        assert classify(errors.ConnectionTimeout()) is FAILURE

    @pytest.mark.parametrize("cut", [SLOW, IGNORED])
    def test_that_was_given_less_time_counts_as_that_time_says(self, cut: Outcome) -> None:
        assert classify(CutError("no answer"), cut=cut) is cut
        assert classify(errors.ConnectionTimeout(), cut=cut) is cut

    def test_connection_that_was_cut_is_dead_and_not_lost(self) -> None:
        # Lost reads are repeated; after a deadline nothing is.
        assert is_dead(CutError("no answer"))
        assert not is_lost(CutError("no answer"))


class TestSQLite:
    @pytest.mark.parametrize(("code", "outcome"), SQLITE)
    def test_is_told_apart_by_result_code(self, code: int, outcome: Outcome) -> None:
        error = sqlite3.OperationalError("message")
        error.sqlite_errorcode = code
        assert classify(error) is outcome
        assert not is_dead(error)

    def test_missing_table_was_answered(self) -> None:
        with pytest.raises(sqlite3.OperationalError) as caught:
            sqlite3.connect(":memory:").execute("SELECT * FROM missing")
        assert classify(caught.value) is ANSWERED

    def test_lock_moves_nothing(self, tmp_path: Path) -> None:
        holder = sqlite3.connect(tmp_path / "db", isolation_level=None)
        waiter = sqlite3.connect(tmp_path / "db", isolation_level=None, timeout=0)
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError) as caught:
            waiter.execute("BEGIN IMMEDIATE")
        assert classify(caught.value) is IGNORED
        holder.close()
        waiter.close()

    def test_file_that_is_no_database_has_failed(self, tmp_path: Path) -> None:
        (tmp_path / "db").write_bytes(b"no database at all" * 100)
        connection = sqlite3.connect(tmp_path / "db")
        with pytest.raises(sqlite3.DatabaseError) as caught:
            connection.execute("SELECT * FROM sqlite_master")
        assert classify(caught.value) is FAILURE
        connection.close()

    def test_file_that_cannot_be_opened_has_failed(self, tmp_path: Path) -> None:
        with pytest.raises(sqlite3.OperationalError) as caught:
            sqlite3.connect(tmp_path / "no" / "db")
        assert classify(caught.value) is FAILURE


class TestClient:
    @pytest.mark.parametrize(("error", "outcome"), CLIENT)
    def test_errors_are_told_apart(self, error: BaseException, outcome: Outcome) -> None:
        assert classify(error) is outcome


class TestRefusal:
    def test_is_a_breakers_and_a_databases_error(self, breaker: CircuitBreaker) -> None:
        refusal = DatabaseRefusedError.of(BreakerOpenError(breaker, "database", 7.5, "it is open"))
        assert isinstance(refusal, BreakerOpenError)
        assert isinstance(refusal, django.db.OperationalError)
        assert (refusal.retry_after, refusal.http_status) == (7.5, 503)
        assert "try again in 7.5 s" in str(refusal)

    def test_moves_no_breaker(self, breaker: CircuitBreaker) -> None:
        assert classify(BreakerOpenError(breaker, "database", 1.0, "it is open")) is IGNORED
