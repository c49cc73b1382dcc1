"""A kept connection that falls silent, or is lost, says nothing of the server: nothing is counted for it.

The kind: what lies between client and server forgot a connection, or ended it, while the server is well.
Further members: a session that the server ended (`test_idle`), and a whole site under load
(`functional/test_forgotten`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import django.db
import psycopg
import pytest
from django.db import transaction

from resilience import registry
from resilience.db import idle
from resilience.db.connection import CutError
from resilience.db.failures import DatabaseDeadlineError, OutcomeUnknownError
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import Outcome, deadline_scope
from tests.faultproxy import FaultProxy
from tests.resilience.db.conftest import (
    Calls,
    alias,
    as_in_a_new_request,
    counted,
    pid,
    query,
    rows,
)
from tests.resilience.db.test_idle import two_at_once
from tests.servers import PostgresServer
from zenow.settings.base import database_settings

BUSY = "UPDATE kept SET id = id"


@pytest.fixture
def wire(proxy: FaultProxy, table: str) -> Iterator[FaultProxy]:
    """What lies before the server; it ends the sessions that it forgot, and their locks with them."""
    yield proxy
    proxy.set("reset")


@pytest.fixture
def forgotten(guarded: GuardedWrapper, wire: FaultProxy, calls: Calls) -> None:
    """Two kept connections, used a moment ago, of which the wire knows nothing any longer."""
    two_at_once(guarded)
    wire.set("forget")
    calls.clear()


def began_to_be_silent(wrapper: GuardedWrapper, wire: FaultProxy) -> None:
    """Take a kept connection, use it, and have it forgotten."""
    as_in_a_new_request(wrapper)
    pid(wrapper)
    assert wrapper.connection.kept
    wire.set("forget")


@pytest.mark.usefixtures("forgotten")
class TestFoundOnTheWay:
    def test_by_a_write_which_is_stored_on_a_new_one(
        self, guarded: GuardedWrapper, server: PostgresServer, calls: Calls
    ) -> None:
        with deadline_scope(2), transaction.atomic("guarded"):
            query(guarded, "INSERT INTO kept VALUES (1)")
        assert rows(server) == [1]
        assert counted(calls) == [("query", Outcome.SUCCESS), ("commit", Outcome.SUCCESS)]

    def test_by_a_write_without_a_transaction(self, guarded: GuardedWrapper, server: PostgresServer) -> None:
        with deadline_scope(2):
            query(guarded, "INSERT INTO kept VALUES (1)")
        assert rows(server) == [1]

    def test_by_a_write_after_a_read_of_the_same_request(
        self, guarded: GuardedWrapper, wire: FaultProxy, calls: Calls
    ) -> None:
        with deadline_scope(2):
            assert query(guarded, "SELECT 7") == [(7,)]
            query(guarded, "INSERT INTO kept VALUES (1)")
        assert counted(calls) == [("query", Outcome.SUCCESS)] * 2

    def test_and_then_all_of_that_age_are_dropped_and_everybody_is_told(
        self, guarded: GuardedWrapper, wire: FaultProxy, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = time.monotonic()
        with caplog.at_level(logging.WARNING), deadline_scope(2), transaction.atomic("guarded"):
            query(guarded, BUSY)
        assert len(idle.of("guarded")) == 0
        assert registry.store().silences.latest("database") >= before
        (said,) = [each.getMessage() for each in caplog.records if each.name == "resilience.db.idle"]
        assert "1 idle ones of its age are dropped" in said
        dropped = registry.store().counters.totals()["connections_dropped", "guarded", "silent"]
        assert dropped == 2

    def test_and_the_log_says_so_once_when_one_after_the_other_falls_silent(
        self, guarded: GuardedWrapper, caplog: pytest.LogCaptureFixture
    ) -> None:
        """As in the seconds in which a server freezes, before its breaker opens."""
        kept = idle.of("guarded")
        for wait in ("0.500", "1.970", "1.984"):
            kept.doubt(time.monotonic(), CutError(f"no answer within the {wait} s that were left"))
        assert len([each for each in caplog.records if each.name == "resilience.db.idle"]) == 1
        assert registry.store().counters.totals()["connections_dropped", "guarded", "silent"] >= 3


class TestUnderWay:
    def test_in_commit_is_unknown(self, guarded: GuardedWrapper, wire: FaultProxy, calls: Calls) -> None:
        def work() -> None:
            with transaction.atomic("guarded"):
                query(guarded, "INSERT INTO kept VALUES (1)")
                wire.set("forget")

        as_in_a_new_request(guarded)
        pid(guarded)
        as_in_a_new_request(guarded)
        calls.clear()
        with pytest.raises(OutcomeUnknownError):
            work()
        assert counted(calls) == [("query", Outcome.SUCCESS)]

    def test_in_an_inner_transaction_stores_nothing(
        self, guarded: GuardedWrapper, wire: FaultProxy, server: PostgresServer, calls: Calls
    ) -> None:
        def work() -> None:
            with transaction.atomic("guarded"):
                query(guarded, "INSERT INTO kept VALUES (1)")
                with transaction.atomic("guarded"):
                    wire.set("forget")
                    query(guarded, "INSERT INTO kept VALUES (2)")

        pid(guarded)
        as_in_a_new_request(guarded)
        calls.clear()
        with deadline_scope(1.9), pytest.raises(django.db.OperationalError):
            work()
        assert [each for each in counted(calls) if each[1] is not Outcome.SUCCESS] == []
        assert rows(server) == []

    def test_of_a_new_connection_is_found_out_from_the_server(
        self, guarded: GuardedWrapper, wire: FaultProxy, calls: Calls
    ) -> None:
        query(guarded, "SELECT 1")
        wire.set("forget")
        calls.clear()
        with deadline_scope(1.8):
            assert query(guarded, "SELECT 7") == [(7,)]
        assert counted(calls) == [("query", Outcome.SUCCESS)]

    def test_of_a_new_connection_in_a_hurry_says_nothing(
        self, guarded: GuardedWrapper, wire: FaultProxy, calls: Calls
    ) -> None:
        query(guarded, "SELECT 1")
        wire.set("forget")
        calls.clear()
        with deadline_scope(0.2), pytest.raises(DatabaseDeadlineError):
            query(guarded, "SELECT 1")
        assert calls == [("query", Outcome.IGNORED)]

    def test_gives_its_locks_back_at_once(
        self, guarded: GuardedWrapper, wire: FaultProxy, server: PostgresServer
    ) -> None:
        def work() -> None:
            with transaction.atomic("guarded"):
                query(guarded, "INSERT INTO kept VALUES (1)")
                wire.set("forget")
                query(guarded, "SELECT 1")

        with deadline_scope(2), pytest.raises(django.db.OperationalError):
            work()
        with psycopg.connect(server.url, autocommit=True) as other:
            other.execute("SET lock_timeout = 1000")
            other.execute("INSERT INTO kept VALUES (1)")  # would wait for the other's end
        assert rows(server) == [1]

    def test_of_what_is_only_slow_is_waited_for(self, guarded: GuardedWrapper, calls: Calls) -> None:
        first = pid(guarded)
        as_in_a_new_request(guarded)
        with deadline_scope(2):
            assert query(guarded, "SELECT pg_backend_pid(), pg_sleep(0.9)::text")[0][0] == first
        assert len(idle.of("guarded")) == 1  # what inquired

    def test_of_slow_queries_one_after_the_other_needs_no_more_connections(
        self, guarded: GuardedWrapper
    ) -> None:
        for _ in range(3):
            as_in_a_new_request(guarded)
            with deadline_scope(2):
                query(guarded, "SELECT pg_sleep(0.4)")
        as_in_a_new_request(guarded)
        assert len(idle.of("guarded")) <= 2  # its own, and what inquired first

    def test_of_a_query_in_a_hurry_on_one_that_answered_says_nothing(
        self, guarded: GuardedWrapper, wire: FaultProxy, calls: Calls
    ) -> None:
        pid(guarded)
        began_to_be_silent(guarded, wire)
        calls.clear()
        with deadline_scope(0.2), pytest.raises(DatabaseDeadlineError):
            query(guarded, "SELECT 1")
        assert calls == [("query", Outcome.IGNORED)]

    def test_of_links_that_are_reset_all_at_once(
        self, guarded: GuardedWrapper, wire: FaultProxy, calls: Calls
    ) -> None:
        for _ in range(4):
            pid(guarded)
            as_in_a_new_request(guarded)
            pid(guarded)
            wire.set("reset")
            wire.set("pass")
            calls.clear()
            assert query(guarded, "SELECT 7") == [(7,)]  # asked once more
            assert counted(calls) == [("query", Outcome.SUCCESS)]

    def test_of_a_server_that_is_gone_counts_the_connect(
        self, guarded: GuardedWrapper, wire: FaultProxy, calls: Calls
    ) -> None:
        pid(guarded)
        as_in_a_new_request(guarded)
        pid(guarded)
        wire.set("refuse")
        calls.clear()
        with pytest.raises(django.db.OperationalError):
            query(guarded, "SELECT 7")
        assert counted(calls) == [("connect", Outcome.FAILURE)]


def test_what_another_process_found_silent_is_not_used(guarded: GuardedWrapper) -> None:
    first = pid(guarded)
    as_in_a_new_request(guarded)
    registry.store().silences.note("database", time.monotonic())
    assert pid(guarded) != first


def test_a_server_that_was_restarted_meanwhile_counts_nothing(calls: Calls) -> None:
    with PostgresServer() as server, alias("restarted", database_settings(server.url)) as wrapper:
        pid(wrapper)
        as_in_a_new_request(wrapper)
        server.restart()
        calls.clear()
        with transaction.atomic("restarted"):
            query(wrapper, "SELECT 1")
        assert {outcome for _, outcome in counted(calls)} == {Outcome.SUCCESS}
