"""A drill on the database is met as the real thing is: by connect and query, the breaker and the caller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django.db
import pytest
from django.db import transaction

from resilience import faults, registry
from resilience.db.failures import DatabaseDeadlineError, DatabaseRefusedError, OutcomeUnknownError
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import State, deadline_scope
from resilience.testing import server_role
from tests.resilience.db.conftest import query, takes


@pytest.fixture(params=["guarded", "sqlite_alias"])
def database(request: pytest.FixtureRequest, settings: Any) -> Iterator[GuardedWrapper]:
    wrapper: GuardedWrapper = request.getfixturevalue(request.param)
    settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": True}
    with server_role():
        yield wrapper


class TestDrill:
    def test_that_refuses_opens_the_breaker_after_three_connects(self, database: GuardedWrapper) -> None:
        faults.start("database", "error", lasts=60)
        for _ in range(3):
            assert registry.breaker("database").shown() is State.CLOSED
            with pytest.raises(django.db.OperationalError, match="a drill"):
                query(database, "SELECT 1")

        assert registry.breaker("database").shown() is State.OPEN
        with pytest.raises(DatabaseRefusedError):
            query(database, "SELECT 1")

    def test_that_refuses_ends_a_kept_connection(self, database: GuardedWrapper) -> None:
        query(database, "SELECT 1")
        faults.start("database", "error", lasts=60)

        with pytest.raises(django.db.OperationalError, match="a drill"):
            query(database, "SELECT 1")
        assert database.connection is None

    @pytest.mark.parametrize("debug", [False, True])
    def test_that_refuses_is_told_by_the_orm_as_what_it_is(
        self, database: GuardedWrapper, debug: bool
    ) -> None:
        query(database, "SELECT 1")
        database.force_debug_cursor = debug
        faults.start("database", "error", lasts=60)

        cursor = database.cursor()
        with pytest.raises(django.db.OperationalError, match="a drill"):
            cursor.execute("SELECT %s", [1])
        cursor.close()  # as the ORM does, whatever the error

    def test_that_hangs_ends_with_the_deadline(self, database: GuardedWrapper) -> None:
        query(database, "SELECT 1")
        faults.start("database", "hang", lasts=60)

        with deadline_scope(0.1), takes(0.1, 0.4), pytest.raises(DatabaseDeadlineError):
            query(database, "SELECT 1")

    def test_that_hangs_leaves_the_end_of_a_write_unknown(self, database: GuardedWrapper) -> None:
        query(database, "CREATE TEMPORARY TABLE drilled (id integer)")
        faults.start("database", "hang", lasts=60)

        with deadline_scope(0.1), pytest.raises(OutcomeUnknownError):
            query(database, "INSERT INTO drilled VALUES (1)")

    def test_that_delays_is_waited_for(self, database: GuardedWrapper) -> None:
        query(database, "SELECT 1")
        faults.start("database", "latency", lasts=60, seconds=0.05)

        with takes(0.05, 1.0):
            assert query(database, "SELECT 1") == [(1,)]

    def test_that_is_over_leaves_nothing_behind(self, database: GuardedWrapper) -> None:
        faults.start("database", "error", lasts=60)
        with pytest.raises(django.db.OperationalError, match="a drill"), transaction.atomic("guarded"):
            query(database, "SELECT 1")
        faults.stop("database")

        assert query(database, "SELECT 1") == [(1,)]
