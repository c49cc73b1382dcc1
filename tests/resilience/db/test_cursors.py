"""Every way to ask is guarded: cursors on the server, COPY, many rows, coroutines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django.db
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import transaction

from resilience.db.failures import DatabaseDeadlineError, OutcomeUnknownError
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import Outcome, deadline_scope
from resilience.request.scope import RequestScope, has_committed
from tests.resilience.db.conftest import (
    Calls,
    counted,
    frozen,
    query,
    takes,
)
from tests.servers import PostgresServer

SUCCESS, IGNORED = Outcome.SUCCESS, Outcome.IGNORED


class TestWhatARequestHasStored:
    @pytest.fixture(autouse=True)
    def scope(self, breaker: object) -> Iterator[None]:
        with RequestScope():
            yield

    def test_is_a_change_outside_of_a_transaction(
        self, guarded: GuardedWrapper, table: str, calls: Calls
    ) -> None:
        query(guarded, "SELECT 1")
        assert not has_committed()  # neither connecting nor reading stores anything
        query(guarded, "INSERT INTO kept VALUES (1)")
        assert has_committed()

    def test_is_a_change_inside_of_one_once_it_is_committed(
        self, guarded: GuardedWrapper, table: str, calls: Calls
    ) -> None:
        with transaction.atomic("guarded"):
            query(guarded, "INSERT INTO kept VALUES (1)")
            assert not has_committed()
        assert has_committed()

    def test_is_nothing_after_sqlite_has_begun_and_gone_back(self, sqlite_alias: GuardedWrapper) -> None:
        with transaction.atomic("guarded"):
            query(sqlite_alias, "SELECT 1")
            transaction.set_rollback(True, using="guarded")
        assert not has_committed()


class TestOtherWaysToAsk:
    def test_server_side_cursors_work(self, guarded: GuardedWrapper, calls: Calls) -> None:
        with transaction.atomic("guarded"), guarded.chunked_cursor() as cursor:
            cursor.execute("SELECT generate_series(1, 500)")
            assert len(cursor.fetchmany(100)) == 100
            assert len(list(cursor)) == 400

    def test_server_side_cursor_of_a_frozen_server_ends_with_the_budget(
        self, guarded: GuardedWrapper, server: PostgresServer, calls: Calls
    ) -> None:
        def work() -> None:
            with transaction.atomic("guarded"), guarded.chunked_cursor() as cursor:
                cursor.execute("SELECT generate_series(1, 500)")
                server.freeze()
                with deadline_scope(0.3), takes(0.3, 0.6):
                    cursor.fetchmany(100)

        with frozen(server, from_start=False), takes(0.3, 0.8), pytest.raises(DatabaseDeadlineError):
            work()
        assert calls[-1] == ("fetch", IGNORED)  # cut before it was slow

    def test_copy_works(self, guarded: GuardedWrapper, table: str, calls: Calls) -> None:
        with guarded.cursor() as cursor:
            with cursor.copy("COPY kept FROM STDIN") as copy:
                for number in range(100):
                    copy.write_row((number,))
            with cursor.copy("COPY kept TO STDOUT") as copy:
                assert len(list(copy.rows())) == 100
        assert counted(calls) == [("query", SUCCESS)] * 2

    def test_copy_of_a_frozen_server_ends_with_the_budget(
        self, guarded: GuardedWrapper, server: PostgresServer, table: str, calls: Calls
    ) -> None:
        def work() -> None:
            with guarded.cursor() as cursor, cursor.copy("COPY kept FROM STDIN") as copy:
                copy.write_row((1,))
                server.freeze()

        query(guarded, "SELECT 1")
        raised = pytest.raises(OutcomeUnknownError)
        with frozen(server, from_start=False), deadline_scope(0.5), takes(0.4, 0.8), raised:
            work()
        assert calls[-1] == ("query", IGNORED)  # cut before it was slow

    def test_executemany_and_callproc_are_counted(
        self, guarded: GuardedWrapper, table: str, calls: Calls
    ) -> None:
        with guarded.cursor() as cursor:
            cursor.executemany("INSERT INTO kept VALUES (%s)", [(1,), (2,)])
            cursor.callproc("pg_backend_pid")
        assert counted(calls) == [("query", SUCCESS)] * 2

    def test_rows_are_iterated(self, guarded: GuardedWrapper) -> None:
        with guarded.cursor() as cursor:
            cursor.execute("SELECT generate_series(1, 3)")
            assert list(cursor) == [(1,), (2,), (3,)]

    def test_fetch_before_execute_is_a_programming_error(self, guarded: GuardedWrapper) -> None:
        with guarded.cursor() as cursor, pytest.raises(django.db.ProgrammingError):
            cursor.fetchone()

    def test_the_log_of_queries_goes_on(self, guarded: GuardedWrapper, table: str, calls: Calls) -> None:
        guarded.force_debug_cursor = True
        query(guarded, "SELECT 1")
        with guarded.cursor() as cursor, cursor.copy("COPY kept TO STDOUT") as copy:
            assert list(copy.rows()) == []
        assert [entry["sql"] for entry in guarded.queries_log] == ["SELECT 1", "COPY kept TO STDOUT"]
        assert counted(calls) == [("query", SUCCESS)] * 2

    def test_coroutines_take_their_deadline_along(
        self, guarded: GuardedWrapper, server: PostgresServer
    ) -> None:
        async def ask() -> Any:
            with deadline_scope(0.3):
                return await sync_to_async(query)(guarded, "SELECT pg_sleep(1)")

        query(guarded, "SELECT 1")
        with takes(0.3, 0.6), pytest.raises(DatabaseDeadlineError):
            async_to_sync(ask)()
