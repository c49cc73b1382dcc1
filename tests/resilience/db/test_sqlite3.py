"""The guarded engine on a SQLite file: the same rules, without a wire."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import django.db
import pytest
from django.db import transaction

from resilience.db.failures import DatabaseDeadlineError, DatabaseRefusedError
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import CircuitBreaker, Outcome, deadline_scope
from tests.resilience.db.conftest import Calls, alias, counted, query
from zenow.settings.base import database_settings

SUCCESS, FAILURE = Outcome.SUCCESS, Outcome.FAILURE
ANSWERED, IGNORED = Outcome.ANSWERED, Outcome.IGNORED


@pytest.fixture
def db(sqlite_alias: GuardedWrapper) -> GuardedWrapper:
    query(sqlite_alias, "CREATE TABLE kept (id integer PRIMARY KEY)")
    return sqlite_alias


class TestCounting:
    def test_of_a_query_happens_once(self, db: GuardedWrapper, calls: Calls) -> None:
        assert query(db, "SELECT 1") == [(1,)]
        assert counted(calls) == [("query", SUCCESS)]

    def test_of_a_transaction_takes_its_begin_its_queries_and_its_commit(
        self, db: GuardedWrapper, calls: Calls
    ) -> None:
        with transaction.atomic("guarded"), transaction.atomic("guarded"):
            query(db, "INSERT INTO kept VALUES (1)")
        assert counted(calls) == [("query", SUCCESS), ("query", SUCCESS), ("commit", SUCCESS)]

    def test_of_a_missing_table_is_an_answer(self, db: GuardedWrapper, calls: Calls) -> None:
        with pytest.raises(django.db.OperationalError, match="no such table"):
            query(db, "SELECT * FROM missing")
        assert calls[-1] == ("query", ANSWERED)

    def test_of_a_lock_moves_nothing(self, db: GuardedWrapper, calls: Calls, tmp_path: Path) -> None:
        db.settings_dict["OPTIONS"]["timeout"] = 0.1
        db.close()
        other = sqlite3.connect(tmp_path / "guarded.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(django.db.OperationalError, match="locked"), transaction.atomic("guarded"):
            pytest.fail("the transaction began")
        assert counted(calls) == []
        other.close()
        with transaction.atomic("guarded"):
            query(db, "INSERT INTO kept VALUES (1)")

    def test_of_a_damaged_file_is_a_failure(
        self, breaker: CircuitBreaker, calls: Calls, tmp_path: Path
    ) -> None:
        (tmp_path / "damaged").write_bytes(b"no database at all" * 1000)
        settings = database_settings(f"sqlite:///{tmp_path / 'damaged'}")
        with alias("damaged", settings) as wrapper:
            for _ in range(3):
                with pytest.raises(django.db.DatabaseError):
                    query(wrapper, "SELECT * FROM kept")
            with pytest.raises(DatabaseRefusedError):
                query(wrapper, "SELECT * FROM kept")
        assert [outcome for _, outcome in counted(calls)] == [FAILURE] * 3

    def test_of_a_command_is_none(self, db: GuardedWrapper, calls: Calls, as_command: None) -> None:
        with deadline_scope(0), transaction.atomic("guarded"):
            query(db, "INSERT INTO kept VALUES (1)")
        assert calls == []


class TestRefusal:
    def test_comes_before_the_file_is_opened(
        self, sqlite_alias: GuardedWrapper, breaker: CircuitBreaker, tmp_path: Path
    ) -> None:
        breaker.isolate(who="test", why="test")
        with pytest.raises(DatabaseRefusedError):
            query(sqlite_alias, "SELECT 1")
        assert not (tmp_path / "guarded.sqlite3").exists()

    def test_comes_when_a_transaction_begins(self, db: GuardedWrapper, breaker: CircuitBreaker) -> None:
        breaker.isolate(who="test", why="test")
        with pytest.raises(DatabaseRefusedError), transaction.atomic("guarded"):
            pytest.fail("the transaction began")

    def test_never_comes_within_a_transaction(self, db: GuardedWrapper, breaker: CircuitBreaker) -> None:
        with transaction.atomic("guarded"):
            query(db, "INSERT INTO kept VALUES (1)")
            breaker.isolate(who="test", why="test")
            with transaction.atomic("guarded"):
                query(db, "INSERT INTO kept VALUES (2)")
        breaker.reset()
        assert query(db, "SELECT count(*) FROM kept") == [(2,)]


class TestSpentBudget:
    def test_makes_no_call(self, db: GuardedWrapper) -> None:
        with deadline_scope(0), pytest.raises(DatabaseDeadlineError):
            query(db, "SELECT 1")

    def test_stops_no_commit_savepoint_or_rollback(self, db: GuardedWrapper) -> None:
        def work() -> None:
            with transaction.atomic("guarded"), deadline_scope(0):
                query(db, "INSERT INTO kept VALUES (2)")

        with transaction.atomic("guarded"):
            query(db, "INSERT INTO kept VALUES (1)")
            with pytest.raises(DatabaseDeadlineError):
                work()
            with deadline_scope(0):
                transaction.savepoint(using="guarded")
        assert query(db, "SELECT id FROM kept") == [(1,)]


class TestHalfOpen:
    def test_is_closed_by_a_query_that_is_answered(
        self, db: GuardedWrapper, half_open: CircuitBreaker
    ) -> None:
        query(db, "SELECT 1")
        assert half_open.snapshot().state == "CLOSED"

    def test_is_closed_by_an_answer_that_is_an_error(
        self, db: GuardedWrapper, half_open: CircuitBreaker
    ) -> None:
        with pytest.raises(django.db.OperationalError):
            query(db, "SELECT * FROM missing")
        assert half_open.snapshot().state == "CLOSED"
