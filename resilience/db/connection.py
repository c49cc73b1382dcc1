"""A psycopg connection on which no wait outlasts the request's budget.

A stopped server keeps its sockets alive, acknowledges what is sent and honours no ``statement_timeout``, so
only the client can end such a wait. A connection whose wait was cut short is closed: this sends one packet
and waits for nothing.
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

from resilience.db.failures import NotSentError, WaitCutError
from resilience.db.set_local import SetLocalConnection
from resilience.net import addresses
from resilience.primitives import current_deadline, deadline_scope, own_trouble

_ACTIVE = pq.TransactionStatus.ACTIVE
_IDLE = pq.TransactionStatus.IDLE
_INTERVAL = 0.1

# The most reads of one look at an idle connection. If there is still more, it has ended or is flooded.
_UNASKED = 8

# The least seconds for what must not be skipped for want of time: ROLLBACK, RELEASE, closing a cursor.
CONTROL_FLOOR = 0.25


class CutError(WaitCutError, psycopg.OperationalError):
    """The budget ended while the server was silent. The connection is closed, the call's end is unknown."""

    timed_out = True


class ConnectCutError(errors.ConnectionTimeout):
    """The budget ended while connecting, and the server was silent."""

    timed_out = True


class ForgottenError(psycopg.OperationalError):
    """The server is not at work for this connection, which waited for an answer. The connection is closed."""


class SpentError(NotSentError, psycopg.OperationalError):
    """The budget was spent before anything was sent. The connection is unchanged."""


class DeadlineConnection(SetLocalConnection):
    """Wait no longer than the current deadline allows; without a deadline, ``limit`` seconds."""

    limit = 2.0
    commit_floor = 1.0
    _floor = 0.0
    _ceiling = inf

    parents = False  # whether it belongs to the parent process, from before a fork
    kept = False  # whether it was taken from the idle ones
    altered = False  # whether the session was changed in a way that its next user would not expect
    has_role = False  # whether Django has set its role (`assume_role`)
    generation = 0  # the breaker's generation when it was made
    params: dict[str, Any] | None = None  # the parameters with which it was made
    made_at = taken_at = answered_at = 0.0  # monotonic seconds
    # Called after `patience` seconds of silence, with this connection and the seconds of silence. Returns 0
    # if the server has forgotten the connection, else the seconds after which to call again.
    inquire: Callable[[DeadlineConnection, float], float] | None = None
    patience = inf

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.server_process = self.pgconn.backend_pid  # a pooler makes one up
        self.made_at = self.taken_at = self.answered_at = time.monotonic()
        _open.add(self)

    def __del__(self, *default: Any) -> None:
        if not self.parents:
            super().__del__(*default)  # it warns if the connection was not closed

    @property
    def proven(self) -> bool:
        """Whether the server has answered on it since it was taken or made."""
        return not self.kept or self.answered_at > self.taken_at

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        """Connect within the current deadline; without one, as psycopg does.

        Each address gets an equal share of the time that is left. Raises the error of an address that failed:
        ``psycopg.errors.ConnectionTimeout`` if its share was up.
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
                    # A server's error says more than that of an address this host cannot use.
                    if failed is None or own_trouble(error) is None:
                        failed = error
        raise failed or psycopg.OperationalError("no address to connect to")

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        # Wait here, since psycopg's own wait around this counts in whole seconds, two at least.
        deadline = current_deadline()
        if deadline is None:
            return (yield from super()._connect_gen(conninfo))
        try:
            return waiting.wait_conn(
                super()._connect_gen(conninfo), interval=_INTERVAL, timeout=deadline.remaining()
            )
        except errors._WaitTimeout:  # psycopg would make it an error that does not say whose limit it was
            raise ConnectCutError("connection timeout expired") from None

    def wait(self, gen: PQGen[Any], interval: float = _INTERVAL, timeout: float | None = None) -> Any:
        """Wait as psycopg does, but no longer than the budget.

        Raises ``SpentError`` if the budget was spent before anything was sent, ``CutError`` if it ended in
        the wait, ``ForgottenError`` if the server is found not to be at work for this connection.
        """
        left = self._left()
        if timeout is not None and timeout < left:
            return super().wait(gen, interval, timeout)  # the caller's own limit, as for notifications
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
        """Do what `gen` does; call `inquire` once it has waited `patience` seconds."""
        began = time.monotonic()
        due = began + self.patience
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and self.inquire is not None and time.monotonic() >= due:
                    again = self.inquire(self, time.monotonic() - began)
                    if not again:
                        raise ForgottenError("the server is not at work on the answer that was awaited")
                    due = time.monotonic() + again
                wanted = gen.send(ready)
        except StopIteration as done:
            return done.value

    def _cut(self, reason: str) -> CutError:
        self.close()
        return CutError(f"{reason}; connection closed")

    def is_open(self) -> bool:
        """Tell whether an idle connection is open, by a look at the socket: nothing is sent.

        What the server sent without being asked, such as notices and the tickets of TLS, is read and does not
        count as an end.
        """
        readable = select.poll()
        try:
            readable.register(self.pgconn.socket, select.POLLIN)
            for _ in range(_UNASKED):
                if not readable.poll(0):
                    return self.pgconn.transaction_status == _IDLE
                self.pgconn.consume_input()
        except psycopg.Error:
            pass  # it was closed, here or by the server
        return False

    def is_silent(self) -> bool:
        """Tell whether nothing has come that is still to be read."""
        readable = select.poll()
        readable.register(self.pgconn.socket, select.POLLIN)
        return not readable.poll(0)

    def ping(self, seconds: float) -> None:
        """Ask for an answer within ``seconds``; without a cursor, which is most of the cost of a query."""
        self._ceiling = seconds
        try:
            with self.lock:
                self.wait(self._exec_command("SELECT 1"))
        finally:
            self._ceiling = inf

    def commit(self) -> None:
        """Commit; wait up to ``commit_floor`` seconds even if less of the budget is left."""
        with self.at_least(self.commit_floor):
            super().commit()

    def rollback(self) -> None:
        """Roll back; wait up to ``CONTROL_FLOOR`` seconds even if less of the budget is left."""
        with self.at_least(CONTROL_FLOOR):
            super().rollback()

    def set_autocommit(self, value: bool) -> None:
        """Switch the mode. This sends nothing, so it needs no budget and brings no answer of the server."""
        answered_at = self.answered_at
        with self.at_least(CONTROL_FLOOR):
            super().set_autocommit(value)
        self.answered_at = answered_at

    @contextmanager
    def at_least(self, seconds: float) -> Iterator[None]:
        """Let each wait in the block last up to ``seconds`` even if less of the budget is left."""
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
    """Return the parameters with ``hostaddr`` filled in; a name is repeated for each of its addresses.

    The name stays, so that TLS still checks it. The first look-up of a name takes at most ``limit`` seconds.
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
    """Tell whether this process has an open connection made with these parameters."""
    return any(each.params == params and not each.closed for each in list(_open))


def _let_go_in_child() -> None:
    """Keep a forked child from using its parent's connections, and from telling the server to end them.

    Each socket's descriptor is led to `/dev/null`, since libpq may still write to it.
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
