"""A psycopg connection that can do without a session of its own.

A pooler lends one session of the server to many clients, to each for a transaction. What one of them sets
for the session, or leaves in it, the next one gets. So settings are given to each transaction by ``SET
LOCAL``, and end with it. That costs no further wait: they are sent with ``BEGIN``, or, outside a transaction,
with the statement itself, since PostgreSQL runs several statements of one message in one transaction
(https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from typing import Any, Self, cast

import psycopg
from psycopg import errors, generators, pq, sql
from psycopg.abc import PQGen

_IDLE = pq.TransactionStatus.IDLE
# PostgreSQL quotes each name of these, and would take "a, b" for one.
_LISTS = {"search_path", "temp_tablespaces"}
_BEGIN = re.compile(r"\s*(?:BEGIN|START\s+TRANSACTION)\b", re.IGNORECASE)


class SetLocalConnection(psycopg.Connection[Any]):
    """As psycopg's own until `share_session` is called."""

    #: The settings of each transaction; None while the session is this connection's own.
    local: Mapping[str, str] | None = None
    #: Whether a session of the server's is taken from others for as long as this connection is open.
    holds_session = False
    _statements: tuple[str, ...] = ()
    _only_reads = False

    def share_session(self, settings: Mapping[str, str]) -> None:
        """Keep nothing in the session from now on, and give each transaction these settings."""
        self.local = dict(settings)
        self._statements = tuple(_set_local(name, value) for name, value in self.local.items())
        self.prepare_threshold = None  # a prepared statement lives in a session
        self.cursor_factory = _with_settings(self.cursor_factory)  # type: ignore[arg-type]  # a class has a hash

    def ask(self, question: str) -> str | None:
        """Return the one value that a SELECT without parameters gives, in no transaction of ours."""
        with self.lock:
            result = cast("pq.abc.PGresult", self.wait(self._exec_command(question)))
        value = result.get_value(0, 0)
        return None if value is None else value.decode()

    @contextmanager
    def own_transaction(self, *, read_only: bool = False) -> Iterator[None]:
        """Surround one statement by BEGIN and COMMIT; only where there is no transaction."""
        self.set_autocommit(False)
        self._only_reads = read_only
        try:
            yield
            self.commit()
        except BaseException:
            with suppress(psycopg.Error):  # the first error is the one to tell
                self.rollback()
            raise
        finally:
            self._only_reads = False
            if self.pgconn.transaction_status == _IDLE:
                self.set_autocommit(True)
            else:
                self.close()

    def lacks_settings(self) -> bool:
        """Tell whether a statement that is sent now begins and ends without the settings."""
        return (
            bool(self._statements)
            and self._autocommit
            and self._pipeline is None
            and self.pgconn.transaction_status == _IDLE
        )

    def give_settings(self) -> None:
        """Give them to a transaction that has just begun."""
        with self.lock:
            self.wait(self._exec_all(self.sent_before(escaped=False).encode()))

    def sent_before(self, *, escaped: bool) -> str:
        """Return the settings as statements to put before another one."""
        text = "".join(f"{statement}; " for statement in self._statements)
        return text.replace("%", "%%") if escaped else text

    def _get_tx_start_command(self) -> bytes:
        begin = super()._get_tx_start_command()
        return begin + b" READ ONLY" if self._only_reads else begin

    def _start_query(self) -> PQGen[None]:
        if not self._statements or self._autocommit or self.pgconn.transaction_status != _IDLE:
            yield from super()._start_query()
        elif self._pipeline is not None:  # one statement to a message
            yield from super()._start_query()
            for statement in self._statements:
                yield from self._exec_command(statement.encode())
        else:
            settings = self.sent_before(escaped=False).encode()
            yield from self._exec_all(self._get_tx_start_command() + b"; " + settings)

    def _exec_all(self, statements: bytes) -> PQGen[None]:
        """As `_exec_command`, for several statements in one message."""
        self._check_connection_ok()
        self.pgconn.send_query(statements)
        for result in (yield from generators.execute(self.pgconn)):
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise errors.error_from_result(result, encoding=self.pgconn._encoding)


class _WithSettings(psycopg.Cursor[Any]):
    """Mix in before a class of cursors: outside a transaction each statement takes the settings along."""

    _conn: SetLocalConnection

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Self:
        connection = self._conn
        if not connection.lacks_settings():
            return super().execute(query, params, **kwargs)
        one_at_a_time = not isinstance(self, psycopg.ClientCursor) or not isinstance(query, str)
        if one_at_a_time and isinstance(query, str) and _BEGIN.match(query):
            super().execute(query, params, **kwargs)
            connection.give_settings()
            return self
        try:
            if one_at_a_time:
                with connection.own_transaction():
                    return super().execute(query, params, **kwargs)
            before = connection.sent_before(escaped=params is not None)
            super().execute(before + query, params, **kwargs)
        except errors.ActiveSqlTransaction:
            # VACUUM, CREATE INDEX CONCURRENTLY and the like refuse any transaction, before they do anything.
            if "role" in (connection.local or {}):
                raise
            return super().execute(query, params, **kwargs)
        return self.set_result(len(connection._statements))

    def executemany(self, query: Any, params_seq: Iterable[Any], *, returning: bool = False) -> None:
        with self._surrounded():
            super().executemany(query, params_seq, returning=returning)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        with self._surrounded():
            yield from super().stream(*args, **kwargs)

    @contextmanager
    def copy(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        with self._surrounded(), super().copy(*args, **kwargs) as copy:
            yield copy

    def _surrounded(self) -> AbstractContextManager[None]:
        return self._conn.own_transaction() if self._conn.lacks_settings() else nullcontext()


@cache
def _with_settings(factory: type[psycopg.Cursor[Any]]) -> type[psycopg.Cursor[Any]]:
    """Return a class of cursors that is `factory` and takes the settings along."""
    if issubclass(factory, _WithSettings):
        return factory
    return type(f"SetLocal{factory.__name__}", (_WithSettings, factory), {})


def _set_local(name: str, value: str) -> str:
    values = [part.strip(' "') for part in value.split(",")] if name in _LISTS else [value]
    return f"SET LOCAL {name} = {', '.join(sql.quote(each) for each in values)}"
