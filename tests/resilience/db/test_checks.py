"""What `check --database default` finds out by asking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command

from resilience.db.postgresql import checks
from tests.resilience.db.conftest import alias
from tests.resilience.db.poolers import needs_pgbouncer
from tests.servers import PostgresServer
from tests.servers.pgbouncer import PgBouncerServer
from tests.startup_relay import StartupRelay
from zenow.settings.base import database_settings


class TestConnections:
    def test_more_than_the_server_takes_are_a_warning(self, settings: Any, postgresql: Any) -> None:
        settings.WEB_CONCURRENCY, settings.WEB_THREADS = 200, 16
        with postgresql():
            (message,) = checks.check_connections(databases=["default"])
        assert message.id == "resilience.W051"
        assert "may open 2201 connections" in message.msg  # 11 places each, and the ping

    def test_that_it_takes_are_none(self, settings: Any, postgresql: Any) -> None:
        settings.WEB_CONCURRENCY, settings.WEB_THREADS = 2, 16
        with postgresql():
            assert list(checks.check_connections(databases=["default"])) == []

    def test_of_a_pooler_are_its_own_affair(
        self, settings: Any, postgres: PostgresServer, without_options: StartupRelay, django_db_blocker: Any
    ) -> None:
        settings.WEB_CONCURRENCY, settings.WEB_THREADS = 200, 16
        with django_db_blocker.unblock(), alias("pooled", relayed(postgres, without_options)):
            assert list(checks.check_connections(databases=["pooled"])) == []

    @pytest.mark.django_db
    def test_are_counted_by_the_command_that_names_a_database(self) -> None:
        call_command("check", databases=["default"], fail_level="WARNING")


class TestLimits:
    """`check --database` finds out what the servers will: it connects as they do."""

    def test_of_a_direct_connection_go_by_start_up_parameters(self, postgresql: Any) -> None:
        with postgresql():
            (message,) = checks.check_limits(databases=["default"])
        assert message.id == "resilience.I052"
        assert "start-up parameters, once for each connection" in message.msg

    def test_of_a_pooler_go_into_each_transaction(
        self, postgres: PostgresServer, without_options: StartupRelay, django_db_blocker: Any
    ) -> None:
        with django_db_blocker.unblock(), alias("pooled", relayed(postgres, without_options)):
            (message,) = checks.check_limits(databases=["pooled"])
        assert message.id == "resilience.I052"
        assert "SET LOCAL" in message.msg
        assert ["options" in each for each in without_options.startups][:2] == [True, False]

    def test_of_a_database_that_cannot_be_reached_are_an_error(
        self, postgres: PostgresServer, without_options: StartupRelay, django_db_blocker: Any
    ) -> None:
        without_options.target = 1  # nobody is there
        with django_db_blocker.unblock(), alias("pooled", relayed(postgres, without_options)):
            (message,) = checks.check_limits(databases=["pooled"])
            assert list(checks.check_connections(databases=["pooled"])) == []
        assert message.id == "resilience.E053"
        assert "server closed the connection" in message.msg

    @needs_pgbouncer
    def test_of_a_pooler_without_transactions_are_an_error(
        self, postgres: PostgresServer, django_db_blocker: Any
    ) -> None:
        with (
            PgBouncerServer(postgres, "statement") as pooler,
            django_db_blocker.unblock(),
            alias("pooled", database_settings(pooler.url)),
        ):
            (message,) = checks.check_limits(databases=["pooled"])
        assert message.id == "resilience.E053"
        assert "statement pooling mode" in message.msg

    @pytest.mark.django_db
    def test_of_sqlite_are_nobodys_question(self) -> None:
        assert list(checks.check_limits(databases=["default"])) == []


@pytest.fixture
def without_options(postgres: PostgresServer) -> Iterator[StartupRelay]:
    with StartupRelay(postgres.port, "refuse") as relay:
        yield relay


def relayed(server: PostgresServer, relay: StartupRelay) -> dict[str, Any]:
    return database_settings(server.url.replace(f":{server.port}", f":{relay.port}"))
