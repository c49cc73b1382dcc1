"""Time one call, tell the breaker how it ended, and the caller what to make of it."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

import django.db

from resilience.db import failures
from resilience.db.connection import CutError, SpentError
from resilience.primitives import Admission
from resilience.request.scope import note_commit

if TYPE_CHECKING:
    from resilience.db.wrapper import GuardedWrapper

# Note [What counts as a call]
# A query and a COMMIT count when they were answered. What surrounds them (connect, health check, fetch,
# savepoint, ROLLBACK) counts only when it fails or is slow: a server that accepts connections and fails every
# query would otherwise look half healthy, and "no call has succeeded since" would never hold.


def is_read(sql: object) -> bool:
    """Tell whether a statement is a SELECT. (It may still call a function that writes.)"""
    return isinstance(sql, str) and sql.lstrip("( \t\r\n")[:6].upper() == "SELECT"


def begins(sql: object) -> bool:
    """Tell whether a statement only begins a transaction: SQLite's BEGIN is a query like others."""
    return isinstance(sql, str) and sql[:5].upper() == "BEGIN"


class Measured:
    """Surround one call. See Note [What counts as a call] on ``counts``.

    ``sql``: outside a transaction, an end that nobody saw of anything but a SELECT is unknown.
    ``timed``: the time is the database's; false where the caller's own work lies in between.
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
            return  # counted where it was raised, inside of this call
        cause = None if error is None else failures.driver_error(error)
        self._call.__exit__(kind, cause, traceback)
        if self._call.outcome is not None:
            self._wrapper.asked = True
        if cause is None:
            if self._call.operation == "query" and self._stores_at_once():
                note_commit()
        elif (told := self._told(cause)) is not None:
            raise told from cause

    def _stores_at_once(self) -> bool:
        wrapper = self._wrapper
        return wrapper.autocommit and not (is_read(self._sql) or begins(self._sql) or wrapper.preparing)

    def _told(self, cause: BaseException) -> django.db.OperationalError | None:
        """Throw a dead connection away, and return the error to raise instead, if any."""
        wrapper = self._wrapper
        stores = self._call.operation == "commit" or (wrapper.autocommit and not is_read(self._sql))
        wrapper.noticed(cause)
        if failures.is_dead(cause):
            wrapper.close()
        if isinstance(cause, SpentError):
            return failures.DatabaseDeadlineError(str(cause), before_call=True)
        cut = isinstance(cause, CutError)
        if stores and (cut or failures.is_lost(cause)):
            return failures.OutcomeUnknownError(f"nobody saw how it ended: {cause}")
        return failures.DatabaseDeadlineError(str(cause)) if cut else None
