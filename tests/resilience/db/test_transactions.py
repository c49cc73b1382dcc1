"""A block ends without an error only when its work is stored, or somebody asked for the rollback.

The kind: whoever catches an error that has ended the transaction goes on as if it had not. Each way in which
a transaction ends early is tried in each form of block, with and without a statement that follows; whatever
the outcome, either all is stored and nothing is raised, or nothing is stored and an error says so.

The ways, on PostgreSQL: the connection is killed, cut by our deadline, idle for too long, thrown away because
the server is read-only, closed by the view; the server has aborted the transaction (its own limit of time, a
lock, a duplicate key, a missing table). On SQLite: it rolls back by itself (full disk, interrupt, a conflict
clause, a trigger), a duplicate key by `save()`, the connection closed by the view.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import product

import django.db
import pytest
from django.db import transaction

from resilience import registry
from resilience.db.outages import is_outage
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import CircuitBreaker, deadline_scope
from tests.resilience.db.conftest import Beside, alias, insert, query, saving
from tests.resilience.db.poolers import needs_pgbouncer
from tests.servers import PostgresServer
from tests.servers.pgbouncer import PgBouncerServer
from zenow.settings.base import database_settings

Way = Callable[[], None]  # makes a statement whose error has ended the transaction; raises that error


# --- Forms of a block: each stores 1, meets the error, catches it, and stores what comes `after` ---

Form = Callable[[GuardedWrapper, Way, Callable[[], None]], None]


def caught_within(db: GuardedWrapper, way: Way, after: Callable[[], None]) -> None:
    with transaction.atomic("guarded"):
        insert(db, 1)
        with suppress(django.db.Error):
            way()
        after()


def caught_within_a_durable_block(db: GuardedWrapper, way: Way, after: Callable[[], None]) -> None:
    with transaction.atomic("guarded", durable=True):
        insert(db, 1)
        with suppress(django.db.Error):
            way()
        after()


def caught_within_an_inner_block(db: GuardedWrapper, way: Way, after: Callable[[], None]) -> None:
    with transaction.atomic("guarded"):
        with transaction.atomic("guarded"):
            insert(db, 1)
            with suppress(django.db.Error):
                way()
        after()


def caught_around_a_block_without_savepoint(db: GuardedWrapper, way: Way, after: Callable[[], None]) -> None:
    with transaction.atomic("guarded"):
        insert(db, 1)
        with suppress(django.db.Error), transaction.atomic("guarded", savepoint=False):
            way()
        after()


def caught_within_a_block_without_savepoint(db: GuardedWrapper, way: Way, after: Callable[[], None]) -> None:
    with transaction.atomic("guarded"), transaction.atomic("guarded", savepoint=False):
        insert(db, 1)
        with suppress(django.db.Error):
            way()
        after()


def caught_around_two_inner_blocks(db: GuardedWrapper, way: Way, after: Callable[[], None]) -> None:
    with transaction.atomic("guarded"):
        insert(db, 1)
        outer, inner = transaction.atomic("guarded"), transaction.atomic("guarded", savepoint=False)
        with suppress(django.db.Error), outer, inner:
            way()
        after()


def caught_by_hand(db: GuardedWrapper, way: Way, after: Callable[[], None]) -> None:
    transaction.set_autocommit(False, "guarded")
    try:
        insert(db, 1)
        with suppress(django.db.Error):
            way()
        after()
        transaction.commit("guarded")
    except BaseException:
        transaction.rollback("guarded")
        raise
    finally:
        transaction.set_autocommit(True, "guarded")


def caught_by_hand_without_commit_or_rollback(
    db: GuardedWrapper, way: Way, after: Callable[[], None]
) -> None:
    transaction.set_autocommit(False, "guarded")
    try:
        insert(db, 1)
        with suppress(django.db.Error):
            way()
        after()
    finally:
        transaction.set_autocommit(True, "guarded")


def caught_in_a_block_by_hand(db: GuardedWrapper, way: Way, after: Callable[[], None]) -> None:
    transaction.set_autocommit(False, "guarded")
    try:
        with transaction.atomic("guarded"):
            insert(db, 1)
            with suppress(django.db.Error):
                way()
            after()
        transaction.commit("guarded")
    except BaseException:
        transaction.rollback("guarded")
        raise
    finally:
        transaction.set_autocommit(True, "guarded")


FORMS: list[Form] = [
    caught_within,
    caught_within_a_durable_block,
    caught_within_an_inner_block,
    caught_around_a_block_without_savepoint,
    caught_within_a_block_without_savepoint,
    caught_around_two_inner_blocks,
    caught_by_hand,
    caught_by_hand_without_commit_or_rollback,
    caught_in_a_block_by_hand,
]


def nothing(db: GuardedWrapper) -> None:
    """Let nothing follow."""


def a_statement(db: GuardedWrapper) -> None:
    insert(db, 3)


def a_statement_that_is_caught(db: GuardedWrapper) -> None:
    with suppress(django.db.Error):
        insert(db, 3)


FOLLOWING = [nothing, a_statement, a_statement_that_is_caught]


class Told:
    """What a form of a block told, and what must be true of it."""

    def __init__(self, db: GuardedWrapper, form: Form, way: Way, after: Callable[[], None]) -> None:
        self.hooks: list[str] = []
        self.error: BaseException | None = None

        def with_hook() -> None:
            try:
                way()
            finally:
                if db.in_atomic_block:
                    transaction.on_commit(lambda: self.hooks.append("ran"), "guarded")

        try:
            form(db, with_hook, after)
        except django.db.Error as error:
            self.error = error

    def must_be_true(self, stored: list[int], *, undone: bool) -> None:
        """`undone`: a savepoint undoes what the error has done, so that all else is stored."""
        if undone:
            assert self.error is None
            assert stored in ([1], [1, 3])
        else:
            assert isinstance(self.error, django.db.Error)
            assert is_outage(self.error), repr(self.error)
            assert stored == []
        assert self.hooks == []


# --- PostgreSQL ---


class OnPostgreSQL:
    """The ways in which a transaction on PostgreSQL ends early."""

    def __init__(self, db: GuardedWrapper, beside: Beside) -> None:
        self.db, self.beside = db, beside

    def killed(self) -> None:
        self.beside.execute("SELECT pg_terminate_backend(%s, 5000)", [self._pid()])
        query(self.db, "SELECT 1")

    def idle_for_too_long(self) -> None:
        pid = self._pid()
        query(self.db, "SET LOCAL idle_in_transaction_session_timeout = 1")
        while self.beside.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone():
            pass
        query(self.db, "SELECT 1")

    def cut(self) -> None:
        with deadline_scope(0.02):
            query(self.db, "SELECT pg_sleep(0.1)")

    def read_only(self) -> None:
        query(self.db, "SET TRANSACTION READ ONLY")
        insert(self.db, 2)

    def closed(self) -> None:
        self.db.close()
        query(self.db, "SELECT 1")

    def closed_and_nothing_else(self) -> None:
        self.db.close()

    def time_limit(self) -> None:
        query(self.db, "SET LOCAL statement_timeout = 20")
        query(self.db, "SELECT pg_sleep(5)")

    def time_limit_in_save(self) -> None:
        query(self.db, "SET LOCAL statement_timeout = 20")
        with saving():
            query(self.db, "SELECT pg_sleep(5)")

    def lock(self) -> None:
        with self.beside.transaction():
            self.beside.execute("LOCK TABLE other")
            query(self.db, "LOCK TABLE other NOWAIT")

    def duplicate(self) -> None:
        insert(self.db, 1)

    def duplicate_in_save(self) -> None:
        with saving():
            insert(self.db, 1)

    def missing_table(self) -> None:
        query(self.db, "SELECT * FROM missing")

    def _pid(self) -> int:
        return int(query(self.db, "SELECT pg_backend_pid()")[0][0])


# A savepoint undoes these.
SERVER_ABORTED = [
    "time_limit",
    "time_limit_in_save",
    "lock",
    "duplicate",
    "duplicate_in_save",
    "missing_table",
]
POSTGRESQL = [name for name in vars(OnPostgreSQL) if not name.startswith("_")]


class TestOnPostgreSQL:
    @pytest.mark.parametrize("way", POSTGRESQL)
    def test_a_block_is_stored_whole_or_says_that_it_is_not(
        self, postgresql_kept: GuardedWrapper, beside: Beside, role: str, way: str
    ) -> None:
        if role == "command" and way == "cut":
            return  # a command has no deadlines
        by_savepoint = SERVER_ABORTED if role == "server" else [*SERVER_ABORTED, "read_only"]
        following = FOLLOWING if role == "server" else FOLLOWING[:1]
        self.holds(postgresql_kept, beside, way, by_savepoint, following)

    @needs_pgbouncer
    @pytest.mark.parametrize("way", ["killed", "cut", "time_limit", "duplicate_in_save"])
    def test_behind_a_pooler_too(
        self, server: PostgresServer, breaker: CircuitBreaker, beside: Beside, tables: None, way: str
    ) -> None:
        with (
            PgBouncerServer(server, "transaction") as pooler,
            alias("guarded", database_settings(pooler.url)) as pooled,
        ):
            self.holds(pooled, beside, way, SERVER_ABORTED, FOLLOWING[:2])

    def holds(
        self,
        db: GuardedWrapper,
        beside: Beside,
        way: str,
        by_savepoint: list[str],
        following: Sequence[Callable[[GuardedWrapper], None]],
    ) -> None:
        meets = getattr(OnPostgreSQL(db, beside), way)
        for form, after in product(FORMS, following):
            told = Told(db, form, meets, partial(after, db))
            registry.breaker("database").reset()
            undone = form is caught_around_two_inner_blocks and way in by_savepoint
            stored = [row[0] for row in beside.execute("SELECT id FROM kept ORDER BY id")]
            told.must_be_true(stored, undone=undone)
            beside.execute("TRUNCATE kept")


# --- SQLite ---


class OnSQLite:
    """The ways in which a transaction on SQLite ends early; the first four it rolls back by itself."""

    def __init__(self, db: GuardedWrapper) -> None:
        self.db = db

    def full_disk(self) -> None:
        query(self.db, "PRAGMA max_page_count = 1")  # it takes what there is already
        with self.db.cursor() as cursor:
            cursor.executemany("INSERT INTO big VALUES (%s)", [["x" * 4000]] * 100)

    def interrupted(self) -> None:
        self.db.connection.set_progress_handler(lambda: 1, 1)
        try:
            insert(self.db, 2)
        finally:
            self.db.connection.set_progress_handler(None, 1)

    def conflict_clause(self) -> None:
        query(self.db, "INSERT OR ROLLBACK INTO kept VALUES (1)")

    def trigger(self) -> None:
        query(self.db, "INSERT INTO refusing VALUES (1)")

    def duplicate_in_save(self) -> None:
        with saving():
            insert(self.db, 1)

    def closed(self) -> None:
        self.db.close()
        query(self.db, "SELECT 1")


SQLITE = [name for name in vars(OnSQLite) if not name.startswith("_")]


def in_file(db: GuardedWrapper) -> list[int]:
    """Return what is stored, as another client sees it."""
    other = sqlite3.connect(db.settings_dict["NAME"])
    try:
        return [row[0] for row in other.execute("SELECT id FROM kept ORDER BY id")]
    finally:
        other.close()


class TestOnSQLite:
    @pytest.mark.parametrize("way", SQLITE)
    def test_a_block_is_stored_whole_or_says_that_it_is_not(
        self, sqlite_kept: GuardedWrapper, way: str
    ) -> None:
        for form, after in product(FORMS, FOLLOWING):
            told = Told(sqlite_kept, form, getattr(OnSQLite(sqlite_kept), way), partial(after, sqlite_kept))
            registry.breaker("database").reset()
            by_hand = "by_hand" in form.__name__ and form is not caught_in_a_block_by_hand
            undone = way == "duplicate_in_save" and (by_hand or form is caught_around_two_inner_blocks)
            told.must_be_true(in_file(sqlite_kept), undone=undone)
            query(sqlite_kept, "PRAGMA max_page_count = 1000000")
            query(sqlite_kept, "DELETE FROM kept")
