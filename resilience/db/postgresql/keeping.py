"""Take a kept connection for an alias on PostgreSQL, prove it, and give it back: see `db.idle`."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from functools import partial
from typing import Any
from weakref import WeakSet

import psycopg

from resilience import conf, registry
from resilience.db import failures, idle
from resilience.db.connection import DeadlineConnection, ForgottenError, has_any
from resilience.db.idle import Idle
from resilience.db.postgresql import inquiring
from resilience.db.turns import turn
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import Admission, BreakerOpenError, Call, Outcome

# Seconds after an answer in which a look at the socket is enough of a health check.
RECENT = 1.0

# The most idle connections kept if each holds a session of a pooler, which other clients wait for.
_FEW = 2

# The server ended the session. (If libpq itself found the loss, there is no SQLSTATE.)
_ENDED = {"57P01", "57P02", "57P03"}


class KeepingWrapper(GuardedWrapper):
    """Mix in before `PostgreSQLGuard`: use connections again, and drop those that are of no further use."""

    _offered: DeadlineConnection | None = None  # a kept connection, while `connect` is about to use it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._server_cursors: WeakSet[psycopg.ServerCursor] = WeakSet()
        _wrappers.add(self)

    @property
    def pool(self) -> Any:
        """In shadow Django's, for `OPTIONS["pool"]`; else None, since `idle` takes its place."""
        # Django's wrapper comes after this class.
        return super().pool if self.is_pooled_by_django() else None  # type: ignore[misc]

    @property
    def idle(self) -> Idle:
        """Where idle connections of this alias are kept."""
        return idle.of(self.alias, self.breaker_name)

    # --- Take ---

    def connect(self) -> None:
        """Take a kept connection if there is one, else make one when it is this thread's turn."""
        if not registry.enforces():
            return super().connect()
        with self._prepare() as admission:
            self._take_or_make(admission)
            made = self.connection
            # In its own time, and when others have the turn: a server that is slow at it can be connected to.
            if (
                isinstance(made, DeadlineConnection)
                and not made.kept
                and not inquiring.end_orphans(self.idle, made)
            ):
                made.close()
                self.connection = None
                self._take_or_make(admission)

    def _take_or_make(self, admission: Admission) -> None:
        self._offered = self._take(admission)
        try:
            with (
                nullcontext()
                if self._offered
                else turn(self.breaker_name, partial(self._turn_is_needless, admission))
            ):
                super().connect()
        finally:
            if self._offered is not None:
                self._offered.close()
                self._offered = None

    def _turn_is_needless(self, admission: Admission) -> bool:
        """Tell, in the wait for a turn to connect, whether another request has given a connection back.

        Raises ``DatabaseDeadlineError`` if the budget is spent, ``DatabaseRefusedError`` if others who
        connected have opened the breaker.
        """
        self.admitted()
        if not admission.permit:
            try:
                self.breaker.raise_if_refusing()
            except BreakerOpenError as refusal:
                raise failures.DatabaseRefusedError.of(refusal) from None
        self._offered = self._take(admission)
        return self._offered is not None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        offered, self._offered = self._offered, None
        if offered is not None:
            return offered
        try:
            connection = super().get_new_connection(conn_params)
        except psycopg.OperationalError as error:
            # Idle connections of this process, perhaps of another alias, may take the room that it needs.
            if not failures.is_full(error) or not idle.free_all():
                raise
            connection = super().get_new_connection(conn_params)
        if isinstance(connection, DeadlineConnection):
            connection.params = conn_params
            if self._admission is not None:
                connection.generation = self._admission.generation
            if self.preparing:
                self._watch(connection)
        return connection

    def _configure_role(self, connection: Any) -> bool:
        # A connection that is used again has its role already.
        if getattr(connection, "has_role", False):
            return False
        changed = bool(super()._configure_role(connection))  # type: ignore[misc]  # Django's
        if isinstance(connection, DeadlineConnection):
            connection.has_role = True
        return changed

    def _take(self, admission: Admission) -> DeadlineConnection | None:
        kept = self.idle
        if not kept:
            return None
        params, checks = self.get_connection_params(), self.settings_dict["CONN_HEALTH_CHECKS"]
        while found := kept.take(params, generation=admission.generation, max_age=self._max_age):
            trusted = not checks or time.monotonic() - found.answered_at < RECENT
            self._watch(found)
            if (trusted and not kept.has_orphans) or self._answers(found):
                return found
        return None

    def _watch(self, connection: DeadlineConnection) -> None:
        """Have the server asked whether it is at work, once this connection has been silent for a while."""
        if self.settings_dict["CONN_HEALTH_CHECKS"]:
            connection.inquire = partial(inquiring.inquire, self)
            connection.patience = inquiring.PATIENCE

    def prove(self) -> None:
        """Ping a kept connection that was only looked at; call it before a statement that is not repeated."""
        self.ensure_connection()
        connection = self.connection
        if (
            not isinstance(connection, DeadlineConnection)
            or connection.proven
            or not self.health_check_enabled
        ):
            return
        if not self._answers(connection):
            self.connection = None
            self.ensure_connection()

    def _answers(self, connection: DeadlineConnection) -> bool:
        """Ping a kept connection; close it if it is silent or lost. That is no failure of the server."""
        limit, began = conf.deadline("health_check"), time.monotonic()
        try:
            connection.ping(limit)
        except psycopg.Error as error:
            self.idle.doubt(began, error, connection, limit=limit)
        else:
            if inquiring.end_orphans(self.idle, connection):
                return True
        connection.close()
        return False

    # --- Give back ---

    def create_cursor(self, name: str | None = None) -> Any:
        if name is not None and registry.enforces():
            self.prove()
        cursor = super().create_cursor(name)
        if name is not None:
            self._server_cursors.add(cursor)
        return cursor

    def close_if_unusable_or_obsolete(self) -> None:
        """Give the connection back. Django calls this when a request begins and when it has ended."""
        connection = self.connection
        usual = self.autocommit == self.settings_dict["AUTOCOMMIT"] and not self._by_hand
        kept = registry.enforces() and isinstance(connection, DeadlineConnection)
        if not kept or not usual or self.allow_thread_sharing:
            return super().close_if_unusable_or_obsolete()
        if self.in_atomic_block:
            return None  # it is in use
        left = any(not cursor.closed for cursor in self._server_cursors)
        if not left and self.keep(connection):
            self.connection = None
        self.close()  # closes the connection if it was not kept, and ends all else that belongs to this use
        return None

    def give_back(self) -> None:
        self.close_if_unusable_or_obsolete()

    def keep(self, connection: DeadlineConnection) -> bool:
        """Keep a connection for the next use; return False if it must not be used again."""
        connection.inquire = None
        return self.idle.keep(connection, most=self._most(connection), max_age=self._max_age)

    @property
    def _max_age(self) -> float | None:
        """The seconds for which a connection may be used again; None for no limit."""
        age: float | None = self.settings_dict["CONN_MAX_AGE"]
        return None if age == 0 and self.settings_dict["OPTIONS"].get("pool") else age

    def _most(self, connection: DeadlineConnection) -> int:
        """The most connections to keep: as many as run at once, or `max_size` of `OPTIONS["pool"]`."""
        pool = self.settings_dict["OPTIONS"].get("pool")
        if isinstance(pool, dict) and "max_size" in pool:
            return int(pool["max_size"])
        if connection.holds_session:
            return _FEW
        return sum(each.running for each in conf.bulkheads().values())

    # --- Doubt ---

    def doubts(self, error: BaseException, call: Call, outcome: Outcome) -> bool:
        """Tell whether a call failed by its kept connection, which is no failure of the server.

        All other connections of its age are then dropped. A call that had less than its full time counts so
        only if nothing was answered on this connection before: otherwise the server was slow.
        """
        if failures.is_full(error):
            return has_any(self.get_connection_params())  # on those that we have, the server answers
        connection = self.connection
        if not isinstance(connection, DeadlineConnection):
            return False
        if isinstance(error, ForgottenError):
            doubted = True  # the server itself has said that it forgot the connection
        elif not connection.kept:
            return False
        elif isinstance(error, failures.WaitCutError):
            doubted = outcome is Outcome.FAILURE or not connection.proven
        else:
            state = getattr(error, "sqlstate", None)
            doubted = failures.is_lost(error) and (state is None or state[:2] == "08" or state in _ENDED)
        limit = conf.deadline("health_check")
        return doubted and self.idle.doubt(call.began, error, connection, limit=limit)


_wrappers: WeakSet[KeepingWrapper] = WeakSet()


def _forget_in_child() -> None:
    """Let a forked child connect again; a transaction of its parent cannot go on there."""
    for wrapper in list(_wrappers):
        if isinstance(wrapper.connection, DeadlineConnection):
            wrapper.connection = None
            wrapper.closed_in_transaction = wrapper.needs_rollback = wrapper.in_atomic_block


os.register_at_fork(after_in_child=_forget_in_child)
