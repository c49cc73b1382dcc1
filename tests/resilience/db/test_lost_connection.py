"""A connection that is lost is replaced; a read is asked once more, a write never."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import django.db
import psycopg
import pytest
from django.db import transaction

from resilience.db.connection import DeadlineConnection
from resilience.db.failures import DatabaseRefusedError, OutcomeUnknownError
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import CircuitBreaker, Outcome
from tests.faultproxy import FaultProxy
from tests.resilience.db.conftest import (
    Calls,
    alias,
    as_in_a_new_request,
    counted,
    query,
    takes,
)
from tests.servers import PostgresServer
from zenow.settings.base import database_settings

SUCCESS, FAILURE, IGNORED = Outcome.SUCCESS, Outcome.FAILURE, Outcome.IGNORED


class TestLostConnection:
    def test_is_replaced_and_a_read_asked_once_more(
        self, guarded: GuardedWrapper, proxy: FaultProxy, calls: Calls
    ) -> None:
        query(guarded, "SELECT 1")
        proxy.set("refuse")
        proxy.set("pass")
        calls.clear()
        assert query(guarded, "SELECT %s", [7]) == [(7,)]
        assert counted(calls) == [("query", FAILURE), ("query", SUCCESS)]
        assert query(guarded, "SHOW default_transaction_read_only") == [("off",)]

    def test_is_asked_read_only_without_a_word_to_the_session(
        self, guarded: GuardedWrapper, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is set for a session stays in a pooler's, and has the writes of other clients fail."""
        query(guarded, "SELECT 1")
        proxy.set("refuse")
        proxy.set("pass")
        sent: list[bytes] = []
        wait = DeadlineConnection._exec_command

        def record(self: DeadlineConnection, command: Any, *rest: Any) -> Any:
            sent.append(command)
            return wait(self, command, *rest)

        monkeypatch.setattr(DeadlineConnection, "_exec_command", record)
        names = ("transaction_read_only", "default_transaction_read_only")
        read = f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}"
        assert query(guarded, read) == [("on", "off")]
        assert sent[-2:] == [b"BEGIN READ ONLY", b"COMMIT"]
        assert query(guarded, read) == [("off", "off")]

    def test_repeats_no_select_that_writes(
        self, guarded: GuardedWrapper, server: PostgresServer, proxy: FaultProxy, calls: Calls
    ) -> None:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE SEQUENCE IF NOT EXISTS counted")
        query(guarded, "SELECT nextval('counted')")
        before = proxy.connections
        proxy.set("cut", once=True)
        with pytest.raises(django.db.OperationalError, match="consuming input failed"):
            query(guarded, "SELECT nextval('counted')")
        assert proxy.connections == before + 1  # it was tried
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT last_value FROM counted").fetchone() == (2,)
            connection.execute("DROP SEQUENCE counted")

    def test_is_not_repeated_within_a_transaction(
        self, guarded: GuardedWrapper, proxy: FaultProxy, table: str
    ) -> None:
        def work() -> None:
            with transaction.atomic("guarded"):
                query(guarded, "INSERT INTO kept VALUES (1)")
                proxy.set("refuse")
                proxy.set("pass")
                query(guarded, "SELECT 1")

        with pytest.raises(django.db.OperationalError):
            work()
        assert query(guarded, "SELECT count(*) FROM kept") == [(0,)]

    def test_leaves_a_commit_unknown(self, guarded: GuardedWrapper, proxy: FaultProxy, table: str) -> None:
        def work() -> None:
            with transaction.atomic("guarded"):
                query(guarded, "INSERT INTO kept VALUES (1)")
                proxy.set("refuse")

        with pytest.raises(OutcomeUnknownError):
            work()
        proxy.set("pass")
        assert query(guarded, "SELECT count(*) FROM kept") == [(0,)]

    def test_of_a_kept_connection_found_closed_counts_nothing(
        self, guarded: GuardedWrapper, proxy: FaultProxy, calls: Calls
    ) -> None:
        query(guarded, "SELECT 1")
        as_in_a_new_request(guarded)
        proxy.set("refuse")
        proxy.set("pass")
        calls.clear()
        assert query(guarded, "SELECT 1") == [(1,)]
        assert counted(calls) == [("query", SUCCESS)]

    def test_counts_the_reconnect_that_fails(
        self, guarded: GuardedWrapper, proxy: FaultProxy, calls: Calls
    ) -> None:
        query(guarded, "SELECT 1")
        as_in_a_new_request(guarded)
        proxy.set("refuse")
        calls.clear()
        with pytest.raises(django.db.OperationalError):
            query(guarded, "SELECT 1")
        assert counted(calls) == [("connect", FAILURE)]

    def test_after_a_reply_cut_in_half_opens_after_three_failures(
        self, guarded: GuardedWrapper, proxy: FaultProxy, calls: Calls, breaker: CircuitBreaker
    ) -> None:
        query(guarded, "SELECT 1")
        for _ in range(3):
            proxy.set("cut")
            with pytest.raises(django.db.OperationalError):
                query(guarded, "SELECT repeat('x', 1000)")
            proxy.set("pass")
        with pytest.raises(DatabaseRefusedError):
            query(guarded, "SELECT 1")
        assert [outcome for _, outcome in calls if outcome is not IGNORED].count(FAILURE) == 3

    def test_by_a_failover_throws_the_connection_away(
        self, guarded: GuardedWrapper, table: str, calls: Calls
    ) -> None:
        query(guarded, "SET default_transaction_read_only = on")
        with pytest.raises(django.db.InternalError, match="read-only"):
            query(guarded, "INSERT INTO kept VALUES (1)")
        assert calls[-1] == ("query", FAILURE)
        query(guarded, "INSERT INTO kept VALUES (1)")

    def test_by_too_many_connections_counts(
        self, guarded: GuardedWrapper, breaker: CircuitBreaker, calls: Calls
    ) -> None:
        with PostgresServer(options={"max_connections": "4", "superuser_reserved_connections": "0"}) as small:
            settings = database_settings(small.url)
            with ExitStack() as taken, alias("small", settings) as wrapper:
                for _ in range(4):
                    taken.enter_context(psycopg.connect(small.url))
                with pytest.raises(django.db.OperationalError, match="too many"):
                    query(wrapper, "SELECT 1")
        assert calls == [("connect", FAILURE)]

    def test_by_too_many_of_our_own_does_not_count(self, breaker: CircuitBreaker, calls: Calls) -> None:
        with PostgresServer(options={"max_connections": "4", "superuser_reserved_connections": "0"}) as small:
            settings = database_settings(small.url)
            with ExitStack() as taken, alias("small", settings) as wrapper:
                query(wrapper, "SELECT 1")
                for _ in range(3):
                    taken.enter_context(psycopg.connect(small.url))
                calls.clear()
                other = type(wrapper)(wrapper.settings_dict, "small")
                with pytest.raises(django.db.OperationalError, match="too many"):
                    query(other, "SELECT 1")
                assert counted(calls) == []

    def test_by_too_many_frees_what_lies_idle_of_another_alias(self, breaker: CircuitBreaker) -> None:
        with PostgresServer(options={"max_connections": "4", "superuser_reserved_connections": "0"}) as small:
            settings = database_settings(small.url)
            with ExitStack() as taken, alias("small", settings) as wrapper, alias("more", settings) as other:
                query(wrapper, "SELECT 1")
                as_in_a_new_request(wrapper)
                for _ in range(3):
                    taken.enter_context(psycopg.connect(small.url))
                assert query(other, "SELECT 7") == [(7,)]


class TestKilledServer:
    def test_opens_the_breaker_and_serves_again_after_its_start(
        self, breaker: CircuitBreaker, calls: Calls
    ) -> None:
        with PostgresServer() as server:
            settings = database_settings(server.url)
            with alias("killed", settings) as wrapper:
                query(wrapper, "SELECT 1")
                server.kill()
                for _ in range(3):
                    with takes(0.0, 0.3), pytest.raises(django.db.OperationalError):
                        query(wrapper, "SELECT 1")
                with takes(0.0, 0.05), pytest.raises(DatabaseRefusedError):
                    query(wrapper, "SELECT 1")
                assert [outcome for _, outcome in calls].count(FAILURE) == 3
                server.start()
                breaker.reset()
                assert query(wrapper, "SELECT 1") == [(1,)]
