"""A psycopg connection that can do without a session of its own.

A pooler lends one session of the server to many clients, to each for one transaction. What a client sets in
the session stays there for the next client. So each transaction gets the settings by ``SET LOCAL``, and they
end with it. This costs no further wait: they are sent with ``BEGIN`` or, outside a transaction, with the
statement itself, since PostgreSQL runs the statements of one message in one transaction
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
# The values of these are lists of names. Each name must be quoted by itself: "a, b" would be one name.
_LISTS = {"search_path", "temp_tablespaces"}
_BEGIN = re.compile(r"\s*(?:BEGIN|START\s+TRANSACTION)\b", re.IGNORECASE)


class SetLocalConnection(psycopg.Connection[Any]):
    """A connection like psycopg's; after `share_session` it gives its settings to each transaction."""

    local: Mapping[str, str] | None = None
    """The settings of each transaction; None while the session is this connection's own."""
    holds_session = False
    """Whether this connection has a session of the pooler to itself as long as it is open."""
    _statements: tuple[str, ...] = ()
    _only_reads = False

    def share_session(self, settings: Mapping[str, str]) -> None:
        """From now on keep nothing in the session, and give each transaction these settings."""
        self.local = dict(settings)
        self._statements = tuple(_set_local(name, value) for name, value in self.local.items())
        self.prepare_threshold = None  # a prepared statement lives in a session
        self.cursor_factory = _with_settings(self.cursor_factory)  # type: ignore[arg-type]  # classes are hashable

    def ask(self, question: str) -> str | None:
        """Run a SELECT without parameters, outside any transaction, and return its one value."""
        with self.lock:
            result = cast("pq.abc.PGresult", self.wait(self._exec_command(question)))
        value = result.get_value(0, 0)
        return None if value is None else value.decode()

    @contextmanager
    def own_transaction(self, *, read_only: bool = False) -> Iterator[None]:
        """Run the block between BEGIN and COMMIT. There must be no transaction yet."""
        self.set_autocommit(False)
        self._only_reads = read_only
        try:
            yield
            self.commit()
        except BaseException:
            with suppress(psycopg.Error):  # the first error is the one to raise
                self.rollback()
            raise
        finally:
            self._only_reads = False
            if self.pgconn.transaction_status == _IDLE:
                self.set_autocommit(True)
            else:
                self.close()

    def lacks_settings(self) -> bool:
        """Tell whether a statement that is sent now would run without the settings."""
        return (
            bool(self._statements)
            and self._autocommit
            and self._pipeline is None
            and self.pgconn.transaction_status == _IDLE
        )

    def give_settings(self) -> None:
        """Give the settings to a transaction that has just begun."""
        with self.lock:
            self.wait(self._exec_all(self.sent_before(escaped=False).encode()))

    def sent_before(self, *, escaped: bool) -> str:
        """Return the settings as statements to put before another; `escaped` if that has parameters."""
        text = "".join(f"{statement}; " for statement in self._statements)
        return text.replace("%", "%%") if escaped else text

    def _get_tx_start_command(self) -> bytes:
        begin = super()._get_tx_start_command()
        return begin + b" READ ONLY" if self._only_reads else begin

    def _start_query(self) -> PQGen[None]:
        if not self._statements or self._autocommit or self.pgconn.transaction_status != _IDLE:
            yield from super()._start_query()
        elif self._pipeline is not None:  # a pipeline takes one statement in each message
            yield from super()._start_query()
            for statement in self._statements:
                yield from self._exec_command(statement.encode())
        else:
            settings = self.sent_before(escaped=False).encode()
            yield from self._exec_all(self._get_tx_start_command() + b"; " + settings)

    def _exec_all(self, statements: bytes) -> PQGen[None]:
        """Like `_exec_command`, for several statements in one message."""
        self._check_connection_ok()
        self.pgconn.send_query(statements)
        for result in (yield from generators.execute(self.pgconn)):
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise errors.error_from_result(result, encoding=self.pgconn._encoding)


class _WithSettings(psycopg.Cursor[Any]):
    """Mix in before a cursor class: outside a transaction each statement is sent with the settings."""

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
            # VACUUM, CREATE INDEX CONCURRENTLY and others refuse to run in a transaction, before they begin.
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
    """Return a subclass of `factory` that sends the settings along."""
    if issubclass(factory, _WithSettings):
        return factory
    return type(f"SetLocal{factory.__name__}", (_WithSettings, factory), {})


def _set_local(name: str, value: str) -> str:
    values = [part.strip(' "') for part in value.split(",")] if name in _LISTS else [value]
    return f"SET LOCAL {name} = {', '.join(sql.quote(each) for each in values)}"
