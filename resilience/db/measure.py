"""Time one call of a database, tell the breaker how it ended, and raise the error that the caller gets."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

import django.db

from resilience import conf, registry
from resilience.db import failures
from resilience.primitives import Admission, OverdueError, ShadowBreaker
from resilience.request.scope import note_commit

if TYPE_CHECKING:
    from resilience.db.wrapper import GuardedWrapper

# Note [What counts as a call]
# A query and a COMMIT always count. What surrounds them (connect, health check, fetch, savepoint, ROLLBACK)
# counts only if it fails or is slow. Otherwise a server that accepts connections but fails every query would
# look half healthy, and would never have failures without a success between them.


def is_read(sql: object) -> bool:
    """Tell whether a statement is a SELECT. (It may still call a function that writes.)"""
    return isinstance(sql, str) and sql.lstrip("( \t\r\n")[:6].upper() == "SELECT"


def begins(sql: object) -> bool:
    """Tell whether a statement only begins a transaction: with SQLite, BEGIN is a query like others."""
    return isinstance(sql, str) and sql[:5].upper() == "BEGIN"


class Measured:
    """Surround one call. See Note [What counts as a call] on ``counts``.

    ``sql`` is the statement. If the end of one other than a SELECT is not seen, outside a transaction, this
    raises ``OutcomeUnknownError``. ``timed`` is false if the block contains the caller's own work, so that
    its time is not the database's.
    """

    __slots__ = ("_call", "_sql", "_wrapper")

    def __init__(
        self,
        wrapper: GuardedWrapper,
        admission: Admission,
        operation: str,
        *,
        counts: bool = False,
        sql: object = "SELECT",
        timed: bool = True,
    ) -> None:
        self._wrapper = wrapper
        self._sql = sql
        self._call = wrapper.breaker.calling(
            operation, judge=wrapper.judge, admission=admission, quiet=not counts, timed=timed
        )

    def __enter__(self) -> None:
        self._call.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, failures.TOLD):
            return  # counted where it was raised, within this call
        cause = None if error is None else failures.driver_error(error)
        shadow = self._shadow
        self._call.__exit__(kind, (self._overdue() if shadow else None) or cause, traceback)
        if self._call.outcome is not None:
            self._wrapper.asked = True
        if cause is None:
            if self._call.operation == "query" and self._stores_at_once():
                note_commit()
        elif not shadow and (told := self._told(cause)) is not None:  # in shadow the driver's error goes on
            raise told from cause

    @property
    def _shadow(self) -> bool:
        return isinstance(self._call.breaker, ShadowBreaker) and conf.shadow()

    def _overdue(self) -> OverdueError | None:
        """Note in shadow that the call took longer than its limit, if so; return what that counts as."""
        call = self._call
        if not call.timed:
            return None
        limit, took = self._wrapper.limit_of(call.operation), time.monotonic() - call.began
        if took <= limit:
            return None
        if call.admission.counts:  # else it would have been refused, and its whole time is counted so
            registry.note_overdue(call.breaker.name, took - limit)
        return OverdueError(f"took {took:.1f} s, and would have been cut after {limit:g} s")

    def _stores_at_once(self) -> bool:
        wrapper = self._wrapper
        return wrapper.autocommit and not (is_read(self._sql) or begins(self._sql) or wrapper.preparing)

    def _told(self, cause: BaseException) -> django.db.OperationalError | None:
        """Close a dead connection, and return the error to raise in place of the driver's, if any."""
        wrapper = self._wrapper
        stores = self._call.operation == "commit" or (wrapper.autocommit and not is_read(self._sql))
        wrapper.noticed(cause)
        if failures.is_dead(cause):
            wrapper.close()
        if isinstance(cause, failures.NotSentError):
            return failures.DatabaseDeadlineError(str(cause), before_call=True)
        cut = isinstance(cause, failures.WaitCutError)
        if stores and (cut or failures.is_lost(cause)):
            return failures.OutcomeUnknownError(f"how it ended is unknown: {cause}")
        return failures.DatabaseDeadlineError(str(cause)) if cut else None
