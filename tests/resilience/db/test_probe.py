"""The steward's question to the primary: past the breaker, within its deadline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connections

from resilience import conf
from resilience.db.failures import classify
from resilience.db.probe import ping
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import CircuitBreaker, Outcome, deadline_scope
from tests.faultproxy import FaultProxy
from tests.resilience.db.conftest import Calls, alias, frozen, takes
from tests.servers import PostgresServer
from zenow.settings.base import database_settings


@pytest.fixture
def primary(guarded: GuardedWrapper) -> Iterator[GuardedWrapper]:
    """The guarded alias in the place of the primary."""
    usual = connections["default"]
    connections["default"] = guarded
    yield guarded
    connections["default"] = usual


class TestProbe:
    def test_is_what_the_settings_name(self) -> None:
        assert conf.probes("ping")["database"] is ping

    def test_passes_an_open_breaker_and_counts_nothing(
        self, primary: GuardedWrapper, breaker: CircuitBreaker, calls: Calls, proxy: FaultProxy
    ) -> None:
        breaker.isolate(who="test", why="test")
        with deadline_scope(0.5):
            ping()
        assert proxy.connections == 1
        assert calls == []
        assert primary.connection is None

    def test_of_a_frozen_server_ends_with_its_deadline_as_a_failure(
        self, primary: GuardedWrapper, server: PostgresServer
    ) -> None:
        raised = pytest.raises(psycopg.errors.ConnectionTimeout)
        with frozen(server), deadline_scope(0.5), takes(0.5, 0.8), raised as caught:
            ping()
        assert classify(caught.value) is Outcome.FAILURE

    def test_of_a_dead_server_is_a_failure_at_once(self, primary: GuardedWrapper, proxy: FaultProxy) -> None:
        proxy.set("refuse")
        raised = pytest.raises(psycopg.OperationalError)
        with deadline_scope(0.5), takes(0.0, 0.2), raised as caught:
            ping()
        assert classify(caught.value) is Outcome.FAILURE

    def test_asks_a_sqlite_file(self, breaker: CircuitBreaker, tmp_path: Path) -> None:
        with alias("default", database_settings(f"sqlite:///{tmp_path / 'db'}")), deadline_scope(0.5):
            ping()
        assert (tmp_path / "db").exists()
