"""An open breaker refuses before anything is sent, and never within a transaction."""

from __future__ import annotations

import circuitbreaker
import django.db
import pytest
from django.db import transaction

from resilience.db.failures import DatabaseRefusedError
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import CircuitBreaker
from tests.faultproxy import FaultProxy
from tests.resilience.db.conftest import (
    as_in_a_new_request,
    frozen,
    query,
    rows,
    takes,
)
from tests.servers import PostgresServer


class TestRefusal:
    def test_is_an_error_of_the_breaker_and_of_the_database(
        self, guarded: GuardedWrapper, breaker: CircuitBreaker, proxy: FaultProxy
    ) -> None:
        breaker.isolate(who="test", why="test")
        with pytest.raises(django.db.OperationalError) as caught:
            query(guarded, "SELECT 1")
        assert isinstance(caught.value, circuitbreaker.CircuitBreakerError)
        assert isinstance(caught.value, django.db.DatabaseError)
        assert proxy.connections == 0

    def test_comes_before_the_health_check(
        self, guarded: GuardedWrapper, breaker: CircuitBreaker, server: PostgresServer
    ) -> None:
        query(guarded, "SELECT 1")
        as_in_a_new_request(guarded)
        breaker.isolate(who="test", why="test")
        with frozen(server), takes(0.0, 0.1), pytest.raises(DatabaseRefusedError):
            query(guarded, "SELECT 1")

    def test_comes_when_a_transaction_begins(self, guarded: GuardedWrapper, breaker: CircuitBreaker) -> None:
        query(guarded, "SELECT 1")
        breaker.isolate(who="test", why="test")
        entered = False
        with pytest.raises(DatabaseRefusedError), transaction.atomic("guarded"):
            entered = True
        assert not entered

    def test_never_comes_within_a_transaction(
        self, guarded: GuardedWrapper, breaker: CircuitBreaker, server: PostgresServer, table: str
    ) -> None:
        with transaction.atomic("guarded"):
            query(guarded, "INSERT INTO kept VALUES (1)")
            breaker.isolate(who="test", why="test")
            with transaction.atomic("guarded"):
                query(guarded, "INSERT INTO kept VALUES (2)")
            with pytest.raises(django.db.IntegrityError), transaction.atomic("guarded"):
                query(guarded, "INSERT INTO kept VALUES (2)")
        assert rows(server) == [1, 2]
        with pytest.raises(DatabaseRefusedError):
            query(guarded, "SELECT 1")

    def test_ends_with_a_transaction_begun_by_hand(
        self, guarded: GuardedWrapper, breaker: CircuitBreaker
    ) -> None:
        transaction.set_autocommit(False, using="guarded")
        query(guarded, "SELECT 1")
        breaker.isolate(who="test", why="test")
        transaction.commit(using="guarded")
        with pytest.raises(DatabaseRefusedError):
            query(guarded, "SELECT 1")
        transaction.rollback(using="guarded")
        transaction.set_autocommit(True, using="guarded")


class TestHalfOpen:
    def test_lets_one_transaction_ask_and_closes(
        self, guarded: GuardedWrapper, half_open: CircuitBreaker, table: str
    ) -> None:
        with transaction.atomic("guarded"):
            query(guarded, "INSERT INTO kept VALUES (1)")
        assert half_open.snapshot().state == "CLOSED"

    def test_is_not_closed_by_a_connection_alone(
        self, guarded: GuardedWrapper, half_open: CircuitBreaker
    ) -> None:
        guarded.ensure_connection()
        assert half_open.snapshot().state == "HALF_OPEN"
        assert query(guarded, "SELECT 1") == [(1,)]
        assert half_open.snapshot().state == "CLOSED"

    def test_takes_the_permit_of_an_empty_transaction_back(
        self, guarded: GuardedWrapper, half_open: CircuitBreaker
    ) -> None:
        with transaction.atomic("guarded"):
            pass
        assert half_open.snapshot().state == "HALF_OPEN"
        assert query(guarded, "SELECT 1") == [(1,)]
