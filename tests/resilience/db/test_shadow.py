"""An alias in shadow: its COMMIT is measured, and Django's own pool keeps its connections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import transaction
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from resilience import registry
from resilience.primitives.shadow import LATE
from resilience.testing import server_role
from tests.resilience.db.conftest import alias, query
from tests.servers import PostgresServer
from zenow.settings.base import database_settings
from zenow.settings.resilience import RESILIENCE


@pytest.fixture
def site(settings: Settings, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    settings.RESILIENCE = RESILIENCE | {"SHADOW": True, "DEADLINES": {"commit": 0.05}}
    with server_role(), django_db_blocker.unblock():
        yield


@pytest.fixture
def slow_commits(server: PostgresServer) -> Iterator[None]:
    """A table `slow`: the COMMIT after a row of it takes 0.2 s."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE slow (id int)")
        connection.execute(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$"
        )
        connection.execute(
            "CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION wait()"
        )
        yield
        connection.execute("DROP TABLE slow")
        connection.execute("DROP FUNCTION wait")


def test_a_commit_that_is_late_is_counted(server: PostgresServer, site: None, slow_commits: None) -> None:
    with alias("guarded", database_settings(server.url)) as wrapper:
        with transaction.atomic("guarded"):
            query(wrapper, "INSERT INTO slow VALUES (1)")
        totals = registry.store().counters.totals()
        assert totals.get((LATE, "database"), 0) == 1
        assert totals.get(("calls", "database", "commit", "failure"), 0) == 1


def test_a_pool_of_django_keeps_its_connections(server: PostgresServer, site: None) -> None:
    settings: dict[str, Any] = database_settings(server.url)
    options = {**settings.get("OPTIONS", {}), "pool": {"min_size": 1, "max_size": 1}}
    with alias("guarded", {**settings, "CONN_MAX_AGE": 0, "OPTIONS": options}) as wrapper:
        found = set()
        for _ in range(3):
            found.add(query(wrapper, "SELECT pg_backend_pid()")[0][0])
            wrapper.close_if_unusable_or_obsolete()
        wrapper.close()
        wrapper.close_pool()  # type: ignore[attr-defined]  # Django's
    assert len(found) == 1
