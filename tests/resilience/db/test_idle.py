"""Connections are kept for the next who needs one: those that can be trusted, and as many as are needed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction
from django.db.backends.signals import connection_created

from resilience.db import idle
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import CircuitBreaker, ManualClock, Outcome
from tests.faultproxy import FaultProxy
from tests.resilience.db.conftest import (
    Calls,
    as_in_a_new_request,
    counted,
    idle_for,
    pid,
    query,
)
from tests.servers import PostgresServer

KEPT = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kept'"


@pytest.fixture(autouse=True)
def named(guarded: GuardedWrapper) -> None:
    """Let the server know these connections from others."""
    guarded.settings_dict["OPTIONS"]["application_name"] = "kept"


def at_the_server(server: PostgresServer) -> int:
    """Count the connections as the server does; one that was just closed may take it a moment."""
    with psycopg.connect(server.url, autocommit=True) as watcher:
        for _ in range(50):
            (open_now,) = watcher.execute(KEPT).fetchone() or (-1,)
            if open_now <= len(idle.of("guarded")) + (connections["guarded"].connection is not None):
                break
            time.sleep(0.02)
    return int(open_now)


def in_thread(work: Callable[[GuardedWrapper], Any], wrapper: GuardedWrapper) -> Any:
    """Do a request's work in a thread that has never had a connection, and end the request."""

    def run() -> Any:
        theirs = type(wrapper)(wrapper.settings_dict, wrapper.alias)
        try:
            return work(theirs)
        finally:
            theirs.close_if_unusable_or_obsolete()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def two_at_once(wrapper: GuardedWrapper) -> tuple[int, int]:
    """Let two requests run side by side; return who served the one that ended last, and the other."""
    longer = pid(wrapper)
    shorter = in_thread(pid, wrapper)
    as_in_a_new_request(wrapper)
    return longer, shorter


class TestKept:
    def test_by_one_request_and_used_by_the_next_in_any_thread(
        self, guarded: GuardedWrapper, server: PostgresServer
    ) -> None:
        first = pid(guarded)
        as_in_a_new_request(guarded)
        assert guarded.connection is None
        assert {in_thread(pid, guarded) for _ in range(5)} == {first}
        assert at_the_server(server) == 1

    def test_are_as_many_as_were_at_work_at_once(
        self, guarded: GuardedWrapper, server: PostgresServer
    ) -> None:
        def at_once(wrapper: GuardedWrapper) -> tuple[int, int]:
            return pid(wrapper), in_thread(pid, wrapper)

        for _ in range(3):
            in_thread(at_once, guarded)
        assert at_the_server(server) == len(idle.of("guarded")) == 2

    def test_and_the_last_used_one_first(self, guarded: GuardedWrapper) -> None:
        last, other = two_at_once(guarded)
        assert last != other
        assert in_thread(pid, guarded) == last

    def test_say_once_more_that_they_were_created_as_djangos_pool_does(self, guarded: GuardedWrapper) -> None:
        """Whoever hears it may hang something on the wrapper, which is another in each thread."""
        told: list[object] = []
        connection_created.connect(hears := lambda connection, **_: told.append(connection))
        for _ in range(3):
            in_thread(pid, guarded)
        connection_created.disconnect(hears)
        assert len(told) == 3

    def test_for_as_long_as_conn_max_age_says(self, guarded: GuardedWrapper) -> None:
        first = pid(guarded)
        guarded.connection.made_at -= 61  # the setting is 60
        as_in_a_new_request(guarded)
        assert len(idle.of("guarded")) == 0
        assert pid(guarded) != first

    @pytest.mark.parametrize(("age", "kept"), [(0, 0), (None, 1)])
    def test_not_at_all_or_for_ever(self, guarded: GuardedWrapper, age: int | None, kept: int) -> None:
        guarded.settings_dict["CONN_MAX_AGE"] = age
        pid(guarded)
        guarded.connection.made_at = 1.0
        as_in_a_new_request(guarded)
        assert len(idle.of("guarded")) == kept

    def test_no_more_than_max_size_of_a_pool(self, guarded: GuardedWrapper, server: PostgresServer) -> None:
        guarded.settings_dict["OPTIONS"]["pool"] = {"max_size": 1}
        guarded.settings_dict["CONN_MAX_AGE"] = 0  # what Django asks for beside a pool
        two_at_once(guarded)
        assert at_the_server(server) == len(idle.of("guarded")) == 1

    def test_and_the_surplus_of_a_busier_minute_is_closed(self, guarded: GuardedWrapper) -> None:
        pid(guarded)
        in_thread(pid, guarded)
        assert len(idle.of("guarded")) == 1
        idle.of("guarded")._kept[0].answered_at -= 61.0
        used = guarded.connection
        as_in_a_new_request(guarded)
        assert idle.of("guarded")._kept == [used]


class TestNotKept:
    """What the next user would stumble over. Further members: a cursor that is open, COPY in its middle."""

    def test_in_a_transaction_that_goes_on(self, guarded: GuardedWrapper) -> None:
        with transaction.atomic("guarded"):
            before = pid(guarded)
            as_in_a_new_request(guarded)
            assert pid(guarded) == before

    def test_in_a_transaction_that_was_begun_by_hand(self, guarded: GuardedWrapper) -> None:
        guarded.set_autocommit(False)
        query(guarded, "SELECT 1")
        as_in_a_new_request(guarded)
        assert len(idle.of("guarded")) == 0

    def test_in_a_transaction_behind_djangos_back(self, guarded: GuardedWrapper) -> None:
        query(guarded, "BEGIN")
        as_in_a_new_request(guarded)
        assert len(idle.of("guarded")) == 0

    @pytest.mark.parametrize(
        "sql",
        [
            "SET search_path = pg_catalog",
            "-- why\nset role none",
            "/* why */ SET SESSION statement_timeout = 5",
            "SELECT set_config('app.tenant', '7', false)",
            "SELECT pg_advisory_lock(7)",
            "LISTEN news",
            "CREATE TEMP TABLE mine (id int)",
            "PREPARE mine AS SELECT 1",
        ],
    )
    def test_with_a_session_that_was_changed(self, guarded: GuardedWrapper, sql: str) -> None:
        query(guarded, sql)
        as_in_a_new_request(guarded)
        assert len(idle.of("guarded")) == 0

    @pytest.mark.parametrize(
        "sql", ["SET LOCAL search_path = pg_catalog", "SET CONSTRAINTS ALL IMMEDIATE", "SELECT 'SET x'"]
    )
    def test_unless_the_change_ends_with_the_transaction(self, guarded: GuardedWrapper, sql: str) -> None:
        with transaction.atomic("guarded"):
            query(guarded, sql)
        as_in_a_new_request(guarded)
        assert len(idle.of("guarded")) == 1

    def test_with_a_cursor_left_open(self, guarded: GuardedWrapper) -> None:
        left = guarded.chunked_cursor()
        left.execute("SELECT generate_series(1, 1000)")
        as_in_a_new_request(guarded)
        assert len(idle.of("guarded")) == 0
        left.cursor.close()

    def test_when_it_was_lost(self, guarded: GuardedWrapper, proxy: FaultProxy) -> None:
        pid(guarded)
        proxy.set("refuse")
        proxy.set("pass")
        as_in_a_new_request(guarded)
        assert len(idle.of("guarded")) == 0

    def test_when_it_was_closed_behind_djangos_back(self, guarded: GuardedWrapper) -> None:
        pid(guarded)
        guarded.connection.close()
        as_in_a_new_request(guarded)
        assert len(idle.of("guarded")) == 0
        assert guarded.connection is None

    def test_from_before_an_outage(
        self, guarded: GuardedWrapper, breaker: CircuitBreaker, clock: ManualClock
    ) -> None:
        first = pid(guarded)
        as_in_a_new_request(guarded)
        for _ in range(3):
            breaker.settle(breaker.admit(), Outcome.FAILURE)
        clock.advance(15.0)
        breaker.settle(breaker.admit(), Outcome.SUCCESS)
        assert pid(guarded) != first


class TestFound:
    """Ended by the other end between two requests: replaced at once, and nothing is counted."""

    @pytest.mark.parametrize("mode", ["reset", "half", "forget"])
    def test_by_the_wire(
        self, guarded: GuardedWrapper, proxy: FaultProxy, calls: Calls, mode: Any, table: str
    ) -> None:
        for _ in range(2):
            pid(guarded)
            idle_for(guarded, 2.0)
            proxy.set(mode)
            proxy.set("pass")
            calls.clear()
            with transaction.atomic("guarded"):
                query(guarded, "INSERT INTO kept VALUES (1) ON CONFLICT DO NOTHING")
            assert counted(calls) == [("query", Outcome.SUCCESS), ("commit", Outcome.SUCCESS)]

    def test_by_the_server_that_ends_idle_sessions(self, guarded: GuardedWrapper, calls: Calls) -> None:
        guarded.settings_dict["OPTIONS"]["options"] = "-c idle_session_timeout=100"
        pid(guarded)
        as_in_a_new_request(guarded)
        time.sleep(0.3)  # the server's own clock
        calls.clear()
        assert query(guarded, "SELECT 7") == [(7,)]
        assert counted(calls) == [("query", Outcome.SUCCESS)]

    def test_well_although_the_server_has_said_something_unasked(
        self, guarded: GuardedWrapper, server: PostgresServer
    ) -> None:
        first = pid(guarded)
        guarded.connection.execute("LISTEN news")  # past what notes that a session was changed
        as_in_a_new_request(guarded)
        with psycopg.connect(server.url, autocommit=True) as other:
            other.execute("NOTIFY news, 'unread'")
        assert pid(guarded) == first


class TestForkedChild:
    def test_neither_uses_nor_ends_its_parents_connections(
        self, guarded: GuardedWrapper, server: PostgresServer
    ) -> None:
        ours = pid(guarded)
        kept = in_thread(pid, guarded)
        reading, writing = os.pipe()
        if not (child := os.fork()):  # pragma: no cover - in the child
            told = b"failed"
            try:
                with transaction.atomic("guarded"):
                    theirs = [pid(guarded), in_thread(pid, guarded)]
                told = b"right" if not {ours, kept} & set(theirs) else b"shared"
                guarded.close()
            finally:
                os.write(writing, told)
                os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reading, 10) == b"right"
        assert pid(guarded) == ours
        assert in_thread(pid, guarded) == kept
        os.close(reading)
        os.close(writing)
