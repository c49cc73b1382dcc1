"""A server that is silent costs each request its budget once, and no more."""

from __future__ import annotations

import time
from collections.abc import Iterator

import django.db
import pytest
from django.db import transaction

from resilience import registry
from resilience.db.failures import DatabaseDeadlineError, OutcomeUnknownError
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import TICKS, CircuitBreaker, Outcome, deadline_scope
from resilience.primitives.ticking import Ticks
from tests.faultproxy import FaultProxy
from tests.resilience.db.conftest import (
    Calls,
    as_in_a_new_request,
    counted,
    frozen,
    idle_for,
    query,
    rows,
    takes,
)
from tests.servers import PostgresServer

FAILURE, SLOW, IGNORED = Outcome.FAILURE, Outcome.SLOW, Outcome.IGNORED


@pytest.fixture
def ticks() -> Iterator[Ticks]:
    """Those of this process, running."""
    TICKS.forget()
    TICKS.start()
    yield TICKS
    TICKS.forget()


class TestSilentServer:
    def test_fails_a_connect_within_its_own_limit(
        self, guarded: GuardedWrapper, server: PostgresServer, calls: Calls
    ) -> None:
        with frozen(server), deadline_scope(2), takes(0.5, 0.8), pytest.raises(django.db.OperationalError):
            query(guarded, "SELECT 1")
        assert calls == [("connect", FAILURE)]

    def test_fails_the_new_connection_after_a_kept_one_that_says_nothing(
        self, guarded: GuardedWrapper, server: PostgresServer, calls: Calls
    ) -> None:
        query(guarded, "SELECT 1")
        idle_for(guarded, 2.0)
        calls.clear()
        raised = pytest.raises(django.db.OperationalError)
        with frozen(server), deadline_scope(2), takes(1.0, 1.3), raised:
            query(guarded, "SELECT 1")
        assert counted(calls) == [("connect", FAILURE)]
        assert query(guarded, "SELECT 1") == [(1,)]

    def test_fails_a_query_that_had_its_full_time(
        self, guarded: GuardedWrapper, server: PostgresServer, calls: Calls
    ) -> None:
        query(guarded, "SELECT 1")
        calls.clear()
        with frozen(server), deadline_scope(1.8), takes(1.8, 2.1), pytest.raises(DatabaseDeadlineError):
            query(guarded, "SELECT 1")
        assert calls == [("query", FAILURE)]

    def test_is_slow_when_the_query_had_less(
        self, guarded: GuardedWrapper, server: PostgresServer, calls: Calls
    ) -> None:
        query(guarded, "SELECT 1")
        calls.clear()
        with frozen(server), deadline_scope(1.2), takes(1.2, 1.5), pytest.raises(DatabaseDeadlineError):
            query(guarded, "SELECT 1")
        assert calls == [("query", SLOW)]

    def test_says_nothing_when_the_request_had_spent_its_time_elsewhere(
        self, guarded: GuardedWrapper, server: PostgresServer, calls: Calls
    ) -> None:
        """It waited for its place 1.6 s of its 2, say, and its query is cut after 0.3 s."""
        query(guarded, "SELECT 1")
        as_in_a_new_request(guarded)
        calls.clear()
        dropped = registry.store().silences.latest("database")
        with frozen(server), deadline_scope(0.3), takes(0.3, 0.6), pytest.raises(DatabaseDeadlineError):
            query(guarded, "SELECT 1")
        assert calls == [("query", IGNORED)]
        assert registry.store().silences.latest("database") == dropped  # nor of the connections of its age

    def test_says_nothing_to_a_process_that_got_no_processor(
        self, guarded: GuardedWrapper, server: PostgresServer, calls: Calls, ticks: Ticks
    ) -> None:
        """A worker that was stopped while it waited drops no connection, and has nobody else drop any."""
        query(guarded, "SELECT 1")
        as_in_a_new_request(guarded)
        guarded.settings_dict["CONN_HEALTH_CHECKS"] = False  # so that nobody inquires meanwhile
        dropped = registry.store().silences.latest("database")
        ticks.note(time.monotonic(), time.monotonic() + 1.0)
        with frozen(server), deadline_scope(1.8), pytest.raises(DatabaseDeadlineError):
            query(guarded, "SELECT 1")
        assert registry.breaker("database").snapshot().failures == 0
        assert registry.store().silences.latest("database") == dropped

    def test_is_asked_once_what_has_become_of_it_and_not_again(
        self, guarded: GuardedWrapper, server: PostgresServer, proxy: FaultProxy
    ) -> None:
        query(guarded, "SELECT 1")
        before = proxy.connections
        with frozen(server), deadline_scope(0.4), takes(0.4, 0.7), pytest.raises(DatabaseDeadlineError):
            query(guarded, "SELECT 1")
        assert proxy.connections == before + 1

    def test_costs_a_transaction_its_budget_once(
        self, guarded: GuardedWrapper, server: PostgresServer, calls: Calls
    ) -> None:
        def work() -> None:
            with transaction.atomic("guarded"), transaction.atomic("guarded"):
                query(guarded, "SELECT 1")
                server.freeze()
                query(guarded, "SELECT 1")

        query(guarded, "SELECT 1")
        raised = pytest.raises(DatabaseDeadlineError)
        with frozen(server, from_start=False), deadline_scope(0.5), takes(0.4, 0.8), raised:
            work()
        assert query(guarded, "SELECT 1") == [(1,)]

    def test_leaves_an_autocommitted_change_unknown(
        self, guarded: GuardedWrapper, server: PostgresServer, table: str
    ) -> None:
        query(guarded, "SELECT 1")
        with frozen(server), deadline_scope(0.2), pytest.raises(OutcomeUnknownError):
            query(guarded, "INSERT INTO kept VALUES (1)")

    def test_leaves_a_commit_unknown_after_at_least_its_own_second(
        self, guarded: GuardedWrapper, server: PostgresServer, table: str, calls: Calls
    ) -> None:
        def work() -> None:
            with transaction.atomic("guarded"):
                query(guarded, "INSERT INTO kept VALUES (1)")
                server.freeze()

        raised = pytest.raises(OutcomeUnknownError)
        with frozen(server, from_start=False), deadline_scope(0.5), takes(1.0, 1.6), raised:
            work()
        assert calls[-1] == ("commit", FAILURE)
        assert query(guarded, "SELECT 1") == [(1,)]

    def test_is_not_waited_for_between_requests(
        self, guarded: GuardedWrapper, server: PostgresServer, breaker: CircuitBreaker
    ) -> None:
        with pytest.raises(django.db.ProgrammingError):
            query(guarded, "SELECT * FROM missing")
        breaker.isolate(who="test", why="test")
        with frozen(server), takes(0.0, 0.1):
            as_in_a_new_request(guarded)
        assert guarded.connection is None


class TestSpentBudget:
    def test_makes_no_call_and_counts_nothing(self, guarded: GuardedWrapper, calls: Calls) -> None:
        query(guarded, "SELECT 1")
        calls.clear()
        with deadline_scope(0), pytest.raises(DatabaseDeadlineError) as caught:
            query(guarded, "SELECT 1")
        assert caught.value.before_call
        assert {outcome for _, outcome in calls} <= {IGNORED}
        assert query(guarded, "SELECT 1") == [(1,)]

    def test_stops_no_commit(self, guarded: GuardedWrapper, server: PostgresServer, table: str) -> None:
        query(guarded, "SELECT 1")
        with deadline_scope(0.2), transaction.atomic("guarded"):
            query(guarded, "INSERT INTO kept VALUES (1)")
            time.sleep(0.25)
        assert rows(server) == [1]

    def test_stops_no_savepoint_release_or_rollback(
        self, guarded: GuardedWrapper, server: PostgresServer, table: str
    ) -> None:
        query(guarded, "SELECT 1")
        with deadline_scope(0.2), transaction.atomic("guarded"):
            query(guarded, "INSERT INTO kept VALUES (1)")
            with transaction.atomic("guarded"):
                query(guarded, "INSERT INTO kept VALUES (2)")
                time.sleep(0.25)
            with pytest.raises(DatabaseDeadlineError), transaction.atomic("guarded"):
                query(guarded, "INSERT INTO kept VALUES (3)")
        assert rows(server) == [1, 2]
