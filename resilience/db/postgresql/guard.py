"""What the guard adds for PostgreSQL: COPY, table locks, one repeat of a lost read, transactions by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import django.db
import psycopg
from django.db.backends.postgresql.base import CursorDebugWrapper
from psycopg.errors import LockNotAvailable, ReadOnlySqlTransaction
from psycopg.pq import TransactionStatus

from resilience.db import table_locks
from resilience.db.connection import CONTROL_FLOOR, DeadlineConnection
from resilience.db.cursor import GuardedCursor
from resilience.db.failures import is_lost
from resilience.db.measure import is_read
from resilience.db.postgresql.connecting import ConnectingWrapper
from resilience.db.postgresql.session import alters_session, is_end
from resilience.db.set_local import SetLocalConnection
from resilience.primitives import RejectedError, Retry
from resilience.request.scope import current_scope

_RETRY = Retry(retry_on=is_lost)  # so never after a deadline


def _raise(error: Exception, *_: object) -> None:
    raise error


class _WouldWriteError(RejectedError):
    """A repeated SELECT tried to write, so it was no read. `Retry` then raises the first error."""


class PostgreSQLCursor(GuardedCursor):
    """Outside a transaction, repeat a SELECT once if its connection was lost. Guard COPY, too."""

    db: PostgreSQLGuard

    def _execute(self, sql: Any, params: Any, *ignored: Any) -> Any:
        self._heed(sql)
        if is_end(sql):
            self.db.refuse_to_end_in_silence()
        if not is_read(sql):
            try:
                return super()._execute(sql, params)
            finally:
                self.db.note_own_transaction()
        if self.db.transacting or isinstance(self.cursor, psycopg.ServerCursor):
            return super()._execute(sql, params)
        tried = table_locks.ask(self.db, sql)
        try:
            result = super()._execute(sql, params)
        except django.db.OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                table_locks.waited_in_vain(self.db, sql, params, error)
            calls = iter((partial(_raise, error), self._repeat))
            return _RETRY.call(lambda: next(calls)(sql, params))
        table_locks.has_read(tried)
        return result

    def _executemany(self, sql: Any, param_list: Any, *ignored: Any) -> Any:
        self._heed(sql)
        return super()._executemany(sql, param_list)

    def _heed(self, sql: Any) -> None:
        """Prove the connection before a statement that stores at once; note if it alters the session."""
        db = self.db
        if db.preparing:
            return
        if db.autocommit and not is_read(sql):
            db.prove()
            if self.cursor.connection is not db.connection:
                self.cursor = db.create_cursor()
        if alters_session(sql):
            db.connection.altered = True

    def _fetch(self, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if isinstance(self.cursor, psycopg.ServerCursor):
            return super()._fetch(run, *args, **kwargs)
        with self.db.wrap_database_errors:  # the rows are here already, so there is nothing to measure
            return run(*args, **kwargs)

    def _repeat(self, sql: Any, params: Any) -> Any:
        """Repeat a SELECT on a new connection, in the same budget; read-only: it writes nothing twice."""
        self.db.ensure_connection()
        self.cursor = self.db.create_cursor()
        with self._measured(sql), self.db.wrap_database_errors:
            try:
                with self.db.connection.own_transaction(read_only=True):
                    return self.cursor.execute(sql) if params is None else self.cursor.execute(sql, params)
            except ReadOnlySqlTransaction:
                raise _WouldWriteError("database", retry_after=0.0, reason="it would write") from None

    @contextmanager
    def copy(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        # This raises the driver's own errors, as Django's cursor does.
        with self._measured(None, timed=False), super().__getattr__("copy")(*args, **kwargs) as copy:
            yield copy

    def close(self) -> None:
        if isinstance(self.cursor, psycopg.ServerCursor):
            with self.db.patience():  # closing it takes an answer of the server
                self.cursor.close()
        else:
            self.cursor.close()


class PostgreSQLDebugCursor(PostgreSQLCursor, CursorDebugWrapper):
    """The same, with Django's log of queries."""

    @contextmanager
    def copy(self, statement: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        with self.debug_sql(statement), super().copy(statement, *args, **kwargs) as copy:
            yield copy


class PostgreSQLGuard(ConnectingWrapper):
    """Mix in before Django's wrapper for PostgreSQL."""

    cursor_class = PostgreSQLCursor
    debug_cursor_class = PostgreSQLDebugCursor

    @property
    def transacting(self) -> bool:
        """Whether a statement is now part of a transaction, Django's or the program's own."""
        return not self.autocommit or self._by_hand

    def note_own_transaction(self) -> None:
        """Treat a transaction that the program began by a BEGIN of its own like a section begun by hand."""
        if not self.autocommit or self.in_atomic_block or self._lost or self.connection is None:
            return
        if self.transaction_open() == self._by_hand:
            return
        self._by_hand = not self._by_hand
        self._request = current_scope() if self._by_hand else None
        self._forget()

    def as_sent(self, sql: str, params: Any) -> str:
        ops: Any = self.ops
        sent = str(ops.compose_sql(sql, params)) if params else sql
        if isinstance(self.connection, SetLocalConnection) and self.connection.lacks_settings():
            return self.connection.sent_before(escaped=False) + sent
        return sent

    def refuse_to_end_in_silence(self) -> None:
        """Raise `NotStoredError` if the server would answer COMMIT with ROLLBACK."""
        if self.connection is not None and self.transaction_aborted():
            raise self._not_stored("its end was reached")

    def transaction_open(self) -> bool:
        return bool(self.connection.info.transaction_status != TransactionStatus.IDLE)

    def transaction_aborted(self) -> bool:
        return bool(self.connection.info.transaction_status == TransactionStatus.INERROR)

    def transaction_gone(self) -> bool:
        return bool(self.connection.closed)

    def patience(self) -> AbstractContextManager[None]:
        if isinstance(self.connection, DeadlineConnection):
            return self.connection.at_least(CONTROL_FLOOR)
        return nullcontext()
