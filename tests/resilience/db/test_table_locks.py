"""A table that another client has locked costs a few reads their wait, not all of them.

Of this kind are: ``LOCK TABLE``, ``ALTER TABLE``, ``TRUNCATE``, ``VACUUM FULL`` (each takes ACCESS
EXCLUSIVE), and a statement that waits itself in the queue of the lock, behind a long read, with all later
reads behind it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import django.db
import psycopg
import pytest
from django.db import transaction

from resilience import registry
from resilience.db import table_locks
from resilience.db.outages import is_outage
from resilience.db.table_locks import TRY_EVERY, WAITS, WITHIN, TableLockedError
from resilience.db.wrapper import GuardedWrapper
from resilience.journal.files import journal
from resilience.observe import health
from resilience.primitives import CircuitBreaker, ManualClock, State
from resilience.primitives.store import TableLock
from tests.resilience.db.conftest import query, takes
from tests.servers import PostgresServer

READ = 'SELECT "kept"."id" FROM "kept" WHERE "kept"."id" > %s'


@pytest.fixture
def tables(table: str, server: PostgresServer, deadlines: dict[str, float]) -> Iterator[None]:
    """The empty tables `kept` and `other`, and a lock time-out for tests."""
    deadlines["lock"] = 0.1
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS other (id int PRIMARY KEY)")
        yield
        connection.execute("DROP TABLE other")


@contextmanager
def locked(server: PostgresServer, statement: str = "LOCK TABLE kept") -> Iterator[None]:
    with psycopg.connect(server.url) as connection:
        connection.execute(statement)
        yield
        connection.rollback()


@contextmanager
def waiting_for_the_lock(server: PostgresServer) -> Iterator[None]:
    """Let another client wait in the lock's queue."""
    with psycopg.connect(server.url) as second, psycopg.connect(server.url, autocommit=True) as third:
        pid = second.info.backend_pid
        waits = threading.Thread(target=_wait_for_the_lock, args=(second,))
        waits.start()
        while not third.execute("SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", [pid]).fetchone():
            assert waits.is_alive()
        yield
        third.execute("SELECT pg_cancel_backend(%s)", [pid])
        waits.join()


def _wait_for_the_lock(connection: psycopg.Connection) -> None:
    with suppress(psycopg.errors.QueryCanceled):
        connection.execute("LOCK TABLE kept")


def wait_in_vain(wrapper: GuardedWrapper, sql: str = READ, times: int = WAITS) -> None:
    for _ in range(times):
        with takes(0.1, 0.5), pytest.raises(django.db.OperationalError) as caught:
            query(wrapper, sql, [0])
        assert not isinstance(caught.value, TableLockedError)


@pytest.mark.usefixtures("tables")
class TestReads:
    @pytest.mark.parametrize(
        "statement", ["LOCK TABLE kept", "ALTER TABLE kept ADD more int", "TRUNCATE kept"]
    )
    def test_stop_waiting_after_a_few_have_waited_in_vain(
        self, guarded: GuardedWrapper, breaker: CircuitBreaker, server: PostgresServer, statement: str
    ) -> None:
        with locked(server, statement):
            wait_in_vain(guarded)
            with takes(0.0, 0.05), pytest.raises(TableLockedError) as caught:
                query(guarded, READ, [0])
        assert is_outage(caught.value)
        assert caught.value.reason == "another client has locked kept"
        assert breaker.shown() is State.CLOSED

    def test_stop_waiting_behind_what_waits_itself(
        self, guarded: GuardedWrapper, server: PostgresServer
    ) -> None:
        with locked(server, "SELECT 1 FROM kept"), waiting_for_the_lock(server):
            wait_in_vain(guarded)
            with pytest.raises(TableLockedError):
                query(guarded, READ, [0])

    @pytest.mark.parametrize("shared", [False, True], ids=["own session", "a pooler's session"])
    def test_of_other_tables_go_on(
        self, guarded: GuardedWrapper, server: PostgresServer, shared: bool
    ) -> None:
        guarded.ensure_connection()
        if shared:
            guarded.connection.share_session({"lock_timeout": "100", "statement_timeout": "1700"})
        with locked(server):
            wait_in_vain(
                guarded, 'SELECT 1 FROM "other" JOIN "kept" ON "kept"."id" = "other"."id" WHERE 0 = %s'
            )
            assert query(guarded, 'SELECT "id" FROM "other"') == []
            with pytest.raises(TableLockedError):
                query(guarded, 'SELECT 1 FROM "kept" JOIN "other" ON true')

    def test_try_again_one_at_a_time_and_all_go_on_after_a_success(
        self, guarded: GuardedWrapper, server: PostgresServer, clock: ManualClock
    ) -> None:
        with locked(server):
            wait_in_vain(guarded)
            clock.advance(TRY_EVERY)
            wait_in_vain(guarded, times=1)
            with pytest.raises(TableLockedError):
                query(guarded, READ, [0])
        with pytest.raises(TableLockedError):  # Nobody has tried yet.
            query(guarded, READ, [0])
        assert list(table_locks.locked()) == ["database kept"]
        clock.advance(TRY_EVERY)
        assert query(guarded, READ, [0]) == []
        assert table_locks.locked() == {}
        assert query(guarded, READ, [0]) == []

    def test_go_on_waiting_while_others_seldom_waited_in_vain(
        self, guarded: GuardedWrapper, server: PostgresServer, clock: ManualClock
    ) -> None:
        with locked(server):
            for _ in range(WAITS + 1):
                wait_in_vain(guarded, times=1)
                clock.advance(WITHIN / 2 + 0.1)

    def test_within_a_transaction_are_always_made(
        self, guarded: GuardedWrapper, server: PostgresServer
    ) -> None:
        with locked(server):
            wait_in_vain(guarded)
            with pytest.raises(django.db.OperationalError) as caught, transaction.atomic("guarded"):
                query(guarded, READ, [0])
            assert not isinstance(caught.value, TableLockedError)

    def test_go_on_when_the_table_was_forgotten(
        self, guarded: GuardedWrapper, server: PostgresServer, clock: ManualClock
    ) -> None:
        with locked(server):
            wait_in_vain(guarded)
        clock.advance(61.0)
        assert table_locks.locked() == {}
        assert query(guarded, READ, [0]) == []
        assert query(guarded, READ, [0]) == []


def test_a_name_is_found_as_a_whole_word(breaker: CircuitBreaker) -> None:
    def known(name: str) -> Callable[..., dict[str, TableLock]]:
        return lambda _: {name: TableLock((1.0,), 1.0, 1.0)}

    registry.store().table_locks.update(known("database learn_course"))
    assert not table_locks._names('SELECT 1 FROM "learn_course_topics"', "database learn_course", "database")
    assert table_locks._names("SELECT 1 FROM public.learn_course c", "database learn_course", "database")
    assert not table_locks._names('SELECT 1 FROM "learn_course"', "database learn_course", "database:reports")


@pytest.mark.usefixtures("tables")
def test_what_happens_to_a_table_is_an_event(
    guarded: GuardedWrapper, server: PostgresServer, clock: ManualClock
) -> None:
    def told() -> list[tuple[str, str]]:
        return [
            (each["kind"], str(each["why"]))
            for each in journal().entries(0.0)
            if each["kind"].startswith("table_")
        ]

    with locked(server):
        wait_in_vain(guarded)
        assert told() == [("table_locked", "another client has locked kept")]
        assert health.notices() == [
            "Reads of the table kept do not wait for it: another client has locked it."
        ]
    clock.advance(TRY_EVERY)
    query(guarded, READ, [0])
    assert [kind for kind, _ in told()] == ["table_locked", "table_free"]
    assert told()[1][1].startswith("kept is read again after ")
    assert health.notices() == []
