"""A psycopg connection whose every wait ends with the request's budget.

A stopped server keeps its sockets alive, acknowledges what is sent and honours no ``statement_timeout``, so
only the client can end such a wait. What was cut short is thrown away: closing sends one packet and waits for
nothing.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from typing import Any, Self
from weakref import WeakSet

import psycopg
from psycopg import errors, pq, waiting
from psycopg.abc import ConnDict, PQGen, PQGenConn
from psycopg.conninfo import conninfo_attempts, make_conninfo

from resilience.db.set_local import SetLocalConnection
from resilience.net import addresses
from resilience.primitives import current_deadline, deadline_scope, own_trouble

_ACTIVE = pq.TransactionStatus.ACTIVE
_IDLE = pq.TransactionStatus.IDLE
_INTERVAL = 0.1

# An idle connection that is readable so often in a row is at its end, or is flooded.
_UNASKED = 8

# What never may be skipped for want of time (ROLLBACK, RELEASE, the closing of a cursor) has this long.
CONTROL_FLOOR = 0.25


class CutError(psycopg.OperationalError):
    """The budget ended while the server was silent. The connection is closed, the end of the call unknown."""

    timed_out = True


class ConnectCutError(errors.ConnectionTimeout):
    """The budget ended while the server was silent, before there was a connection."""

    timed_out = True


class ForgottenError(psycopg.OperationalError):
    """The server has nothing to do for a connection that awaits its answer; it is closed."""


class SpentError(psycopg.OperationalError):
    """The budget was spent before anything was sent. The connection is as it was."""


class DeadlineConnection(SetLocalConnection):
    """Give each wait what is left of the current deadline; outside all deadlines ``limit`` seconds."""

    limit = 2.0
    commit_floor = 1.0
    _floor = 0.0
    _ceiling = inf

    parents = False  # whether it is another process's, from before a fork
    kept = False  # whether somebody else has used it before
    altered = False  # whether the session was changed in a way that the next user would not expect
    has_role = False  # whether `assume_role` was seen to
    generation = 0  # that of the breaker when it was made
    params: dict[str, Any] | None = None  # what it was made with
    made_at = taken_at = answered_at = 0.0  # monotonic seconds
    # Asked after `patience` seconds of silence, with how long that has lasted, whether this connection is
    # forgotten. Returns after how many seconds to ask again; 0: it is.
    inquire: Callable[[DeadlineConnection, float], float] | None = None
    patience = inf

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.server_process = self.pgconn.backend_pid  # as it said itself; a pooler makes one up
        self.made_at = self.taken_at = self.answered_at = time.monotonic()
        _open.add(self)

    def __del__(self, *default: Any) -> None:
        if not self.parents:
            super().__del__(*default)  # which warns of one that was not closed

    @property
    def proven(self) -> bool:
        """Whether the server has answered on it since it was taken, or made."""
        return not self.kept or self.answered_at > self.taken_at

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        """Connect within the current deadline, which all addresses share; without one, as psycopg does.

        Raises ``psycopg.errors.ConnectionTimeout`` when the last of them met its share.
        """
        deadline = current_deadline()
        if deadline is None:
            return super().connect(conninfo, **kwargs)
        # libpq's own connect_timeout is at least 2 s for each address.
        options = {name: kwargs.pop(name) for name in _OPTIONS if name in kwargs}
        params = cls._get_connection_params(conninfo, **kwargs)
        attempts = conninfo_attempts(_resolved(params, deadline.remaining()))
        failed: psycopg.Error | None = None
        for left, attempt in zip(range(len(attempts), 0, -1), attempts, strict=True):
            with deadline_scope(deadline.remaining() / left):
                try:
                    return super().connect(make_conninfo("", **attempt), **options)
                except psycopg.Error as error:
                    # Of an address that this process cannot use at all, others say more.
                    if failed is None or own_trouble(error) is None:
                        failed = error
        raise failed or psycopg.OperationalError("no address to connect to")

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        # The wait happens in here: the one around it, psycopg's own, counts in whole seconds, two at least.
        deadline = current_deadline()
        if deadline is None:
            return (yield from super()._connect_gen(conninfo))
        try:
            return waiting.wait_conn(
                super()._connect_gen(conninfo), interval=_INTERVAL, timeout=deadline.remaining()
            )
        except errors.ConnectionTimeout as error:
            raise ConnectCutError(str(error)) from None

    def wait(self, gen: PQGen[Any], interval: float = _INTERVAL, timeout: float | None = None) -> Any:
        """Wait as psycopg does, but no longer than the budget.

        Raises ``SpentError`` when there is none left, ``CutError`` when it ended on the way.
        """
        left = self._left()
        if timeout is not None and timeout < left:
            return super().wait(gen, interval, timeout)  # the caller's own, as for notifications
        if left <= 0.0:
            gen.close()
            if self.pgconn.transaction_status != _ACTIVE:
                raise SpentError("the time budget was spent before the statement was sent")
            raise self._cut("the time budget was spent in the middle of a statement")
        if self.inquire is not None:
            gen = self._watched(gen)
        try:
            result = super().wait(gen, interval, left)
        except ForgottenError:
            self.close()
            raise
        except errors._WaitTimeout:
            raise self._cut(f"no answer within the {left:.3f} s that were left") from None
        self.answered_at = time.monotonic()
        return result

    def _watched(self, gen: PQGen[Any]) -> PQGen[Any]:
        """Do what `gen` does, and inquire when it has waited for long."""
        began = time.monotonic()
        due = began + self.patience
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and self.inquire is not None and time.monotonic() >= due:
                    again = self.inquire(self, time.monotonic() - began)
                    if not again:
                        raise ForgottenError("an answer was awaited of which the server knows nothing")
                    due = time.monotonic() + again
                wanted = gen.send(ready)
        except StopIteration as done:
            return done.value

    def _cut(self, reason: str) -> CutError:
        self.close()
        return CutError(f"{reason}; connection closed")

    def is_open(self) -> bool:
        """Look, without asking, whether an idle connection was closed by the other end.

        What the server sent unasked, such as notices and the tickets of TLS, is taken in: it closes nothing.
        """
        readable = select.poll()
        try:
            readable.register(self.pgconn.socket, select.POLLIN)
            for _ in range(_UNASKED):
                if not readable.poll(0):
                    return self.pgconn.transaction_status == _IDLE
                self.pgconn.consume_input()
        except psycopg.Error:
            pass  # it is closed, or was: its end was reached
        return False

    def is_silent(self) -> bool:
        """Look whether nothing has come that was not read yet."""
        readable = select.poll()
        readable.register(self.pgconn.socket, select.POLLIN)
        return not readable.poll(0)

    def ping(self, seconds: float) -> None:
        """Ask for a sign of life within ``seconds``. Without a cursor, most of the price of a query."""
        self._ceiling = seconds
        try:
            with self.lock:
                self.wait(self._exec_command("SELECT 1"))
        finally:
            self._ceiling = inf

    def commit(self) -> None:
        """Commit, with ``commit_floor`` seconds at least, even when the budget is spent."""
        with self.at_least(self.commit_floor):
            super().commit()

    def rollback(self) -> None:
        """Roll back, with a moment at least, even when the budget is spent."""
        with self.at_least(CONTROL_FLOOR):
            super().rollback()

    def set_autocommit(self, value: bool) -> None:
        """Switch the mode. Nothing is sent, so a spent budget must not stop it, and nothing is answered."""
        answered_at = self.answered_at
        with self.at_least(CONTROL_FLOOR):
            super().set_autocommit(value)
        self.answered_at = answered_at

    @contextmanager
    def at_least(self, seconds: float) -> Iterator[None]:
        """Let waits in the block last ``seconds`` even when less of the budget is left."""
        outer, self._floor = self._floor, max(self._floor, seconds)
        try:
            yield
        finally:
            self._floor = outer

    def _left(self) -> float:
        deadline = current_deadline()
        left = self.limit if deadline is None else deadline.remaining()
        return min(max(left, self._floor), self._ceiling)


def _resolved(params: ConnDict, limit: float) -> ConnDict:
    """Return the parameters with ``hostaddr`` beside each ``host``, a name once for each of its addresses.

    The name stays, so that TLS still checks it. The first look-up of a name takes ``limit`` seconds at most.
    """
    hosts = str(params.get("host") or "").split(",")
    if params.get("hostaddr") or any(not host or host.startswith(("/", "@")) for host in hosts):
        return params  # nothing to resolve, or the path of a socket
    ports = str(params.get("port") or "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    found = [
        (host, address, port)
        for host, port in zip(hosts, ports, strict=True)
        for address in _addresses(host, limit)
    ]
    names, numbers, each_port = (",".join(column) for column in zip(*found, strict=True))
    resolved: ConnDict = {**params, "host": names, "hostaddr": numbers}
    return {**resolved, "port": each_port} if params.get("port") else resolved


def _addresses(host: str, limit: float) -> list[str]:
    try:
        return addresses.lookup(host, limit)
    except TimeoutError as error:
        raise errors.ConnectionTimeout(str(error)) from error
    except (OSError, UnicodeError) as error:
        raise psycopg.OperationalError(f"failed to resolve host {host!r}: {error}") from error


_OPTIONS = ("autocommit", "prepare_threshold", "context", "row_factory", "cursor_factory")

_open: WeakSet[DeadlineConnection] = WeakSet()


def has_any(params: Mapping[str, Any]) -> bool:
    """Tell whether this process has an open connection that was made with these parameters."""
    return any(each.params == params and not each.closed for each in list(_open))


def _let_go_in_child() -> None:
    """Keep a forked child from using its parent's connections, and from closing them with a farewell.

    The socket's number goes on naming something harmless, since libpq may still write to it.
    """
    nothing = -1
    for connection in list(_open):
        connection.parents = True
        if not connection.closed:
            nothing = os.open(os.devnull, os.O_RDWR) if nothing < 0 else nothing
            os.dup2(nothing, connection.pgconn.socket, inheritable=False)
    if nothing >= 0:
        os.close(nothing)
    _open.clear()


os.register_at_fork(after_in_child=_let_go_in_child)
