"""What a PostgreSQL's answers count as, and the limits that it keeps by itself."""

from __future__ import annotations

import django.db
import psycopg
import pytest
from django.db import transaction

from resilience.db.failures import DatabaseDeadlineError
from resilience.db.postgresql.guard import PostgreSQLGuard
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import Outcome, deadline_scope
from tests.resilience.db.conftest import (
    Calls,
    as_in_a_new_request,
    counted,
    query,
    takes,
)
from tests.servers import PostgresServer

SUCCESS, SLOW, ANSWERED, IGNORED = Outcome.SUCCESS, Outcome.SLOW, Outcome.ANSWERED, Outcome.IGNORED


class TestCounting:
    def test_of_a_query_happens_once(self, guarded: GuardedWrapper, calls: Calls) -> None:
        assert query(guarded, "SELECT 1") == [(1,)]
        assert counted(calls) == [("query", SUCCESS)]

    def test_of_a_kept_connection_adds_nothing(self, guarded: GuardedWrapper, calls: Calls) -> None:
        query(guarded, "SELECT 1")
        as_in_a_new_request(guarded)
        calls.clear()
        query(guarded, "SELECT 1")
        assert counted(calls) == [("query", SUCCESS)]

    def test_of_a_transaction_takes_its_queries_and_its_commit(
        self, guarded: GuardedWrapper, table: str, calls: Calls
    ) -> None:
        with transaction.atomic("guarded"):
            with transaction.atomic("guarded"):
                query(guarded, "INSERT INTO kept VALUES (1)")
            query(guarded, "INSERT INTO kept VALUES (2)")
        assert counted(calls) == [
            ("query", SUCCESS),
            ("query", SUCCESS),
            ("commit", SUCCESS),
        ]

    def test_of_an_empty_transaction_counts_nothing(self, guarded: GuardedWrapper, calls: Calls) -> None:
        with transaction.atomic("guarded"):
            pass
        assert {outcome for _, outcome in calls} <= {IGNORED}

    def test_of_bad_sql_is_an_answer(self, guarded: GuardedWrapper, calls: Calls) -> None:
        with pytest.raises(django.db.ProgrammingError):
            query(guarded, "SELECT * FROM missing")
        assert calls[-1] == ("query", ANSWERED)

    def test_of_a_statement_that_the_server_ends_is_slow(
        self, guarded: GuardedWrapper, calls: Calls, deadlines: dict[str, float]
    ) -> None:
        deadlines["statement"] = 0.3
        with takes(0.3, 0.6), pytest.raises(django.db.OperationalError, match="statement timeout"):
            query(guarded, "SELECT pg_sleep(5)")
        assert calls[-1] == ("query", SLOW)
        assert query(guarded, "SELECT 1") == [(1,)]

    def test_of_a_lock_that_is_not_granted_moves_nothing(
        self,
        guarded: GuardedWrapper,
        server: PostgresServer,
        table: str,
        calls: Calls,
        deadlines: dict[str, float],
    ) -> None:
        deadlines["lock"] = 0.2
        with psycopg.connect(server.url) as other:
            other.execute("LOCK TABLE kept")
            with pytest.raises(django.db.OperationalError, match="lock timeout"):
                query(guarded, "SELECT * FROM kept")
        assert calls[-1] == ("query", IGNORED)

    def test_of_a_command_is_none(
        self, guarded: GuardedWrapper, server: PostgresServer, calls: Calls, as_command: None
    ) -> None:
        with deadline_scope(0):
            assert query(guarded, "SHOW statement_timeout") == [("0",)]
            with transaction.atomic("guarded"):
                query(guarded, "SELECT 1")
        assert calls == []


class TestServersLimits:
    def test_lie_just_below_the_clients(self, guarded: GuardedWrapper) -> None:
        shown = [
            query(guarded, f"SHOW {name}")[0][0]
            for name in ("statement_timeout", "lock_timeout", "client_connection_check_interval")
        ]
        assert shown == ["1700ms", "1500ms", "1s"]

    def test_give_way_to_the_projects_own(self, guarded: GuardedWrapper) -> None:
        guarded.settings_dict["OPTIONS"]["options"] = "-c statement_timeout=900"
        assert query(guarded, "SHOW statement_timeout") == [("900ms",)]
        assert query(guarded, "SHOW lock_timeout") == [("1500ms",)]

    def test_are_fewer_on_a_server_that_does_not_know_all(
        self, guarded: GuardedWrapper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # What a server before 14 says to the real name.
        name = "client_connection_check_interval_of_the_future"
        monkeypatch.setattr("resilience.db.postgresql.limits.CHECK_INTERVAL", name)
        monkeypatch.setattr(PostgreSQLGuard, "_without_check_interval", False)
        assert query(guarded, "SHOW statement_timeout") == [("1700ms",)]
        assert type(guarded)._without_check_interval  # type: ignore[attr-defined]
        del type(guarded)._without_check_interval  # type: ignore[attr-defined]

    def test_free_the_backend_of_a_client_that_left(
        self, guarded: GuardedWrapper, server: PostgresServer
    ) -> None:
        with deadline_scope(0.3), pytest.raises(DatabaseDeadlineError):
            query(guarded, "SELECT pg_sleep(1.6), 'left behind'")
        active = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%left behind%%'"
        )
        with psycopg.connect(server.url, autocommit=True) as watcher, takes(0.0, 1.6):
            while watcher.execute(active + " AND pid <> pg_backend_pid()").fetchone() != (0,):
                pass
