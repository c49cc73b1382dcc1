"""What `check --database default` finds out by asking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from resilience import conf
from resilience.conf import capacity
from resilience.db.postgresql import checks
from tests.resilience.db.conftest import alias
from tests.resilience.db.poolers import needs_pgbouncer
from tests.servers import PostgresServer
from tests.servers.pgbouncer import PgBouncerServer
from tests.startup_relay import StartupRelay
from zenow.settings.base import database_settings


def taken() -> int:
    """Return how many connections the default database takes from users who are no superusers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name LIKE '%connections'")
        said = dict(cursor.fetchall())
    return int(said["max_connections"]) - int(said["superuser_reserved_connections"])


class TestConnections:
    def test_more_than_the_server_takes_are_a_warning(self, settings: Any, postgresql: Any) -> None:
        settings.WEB_CONCURRENCY = 20
        each = capacity.places(conf.bulkheads()) + 3
        with postgresql():
            most = taken()
            (message,) = checks.check_connections(databases=["default"])
        assert message.id == "resilience.W051"
        assert f"may open {20 * each} connections to 'default', which takes {most}." in message.msg
        assert message.hint is not None
        assert f"Let the server take {20 * each}" in message.hint
        assert f"lower WEB_CONCURRENCY to {most // each}," in message.hint

    def test_are_none_with_each_number_that_the_warning_proposes(
        self, settings: Any, postgresql: Any
    ) -> None:
        with postgresql():
            most = taken()
            settings.WEB_CONCURRENCY = capacity.workers(conf.bulkheads(), most)
            assert list(checks.check_connections(databases=["default"])) == []
            settings.WEB_CONCURRENCY += 1
            (message,) = checks.check_connections(databases=["default"])
            smaller = capacity.within_connections(conf.bulkheads(), settings.WEB_CONCURRENCY, most)
            assert message.hint is not None
            assert capacity.in_words(smaller) in message.hint
            settings.RESILIENCE = settings.RESILIENCE | {
                "BULKHEADS": {k: vars(v) for k, v in smaller.items()}
            }
            assert list(checks.check_connections(databases=["default"])) == []

    def test_are_bounded_by_the_user_s_own_limit(self, settings: Any, postgresql: Any) -> None:
        settings.WEB_CONCURRENCY = 1
        with postgresql():
            with connection.cursor() as cursor:
                cursor.execute("ALTER ROLE CURRENT_USER CONNECTION LIMIT 7")  # rolled back in the end
            (message,) = checks.check_connections(databases=["default"])
        assert "which takes 7." in message.msg

    def test_of_a_pooler_are_its_own_affair(
        self, settings: Any, postgres: PostgresServer, without_options: StartupRelay, django_db_blocker: Any
    ) -> None:
        settings.WEB_CONCURRENCY = 200
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
