"""Time one call, tell the breaker how it ended, and the caller what to make of it."""

from __future__ import annotations

import time
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING

import django.db

from resilience import conf
from resilience.db import failures
from resilience.db.connection import CutError, SpentError
from resilience.primitives import Admission, Outcome
from resilience.request.scope import note_commit

if TYPE_CHECKING:
    from resilience.db.wrapper import GuardedWrapper

# Note [What counts as a call]
# A query and a COMMIT count when they were answered. What surrounds them (connect, health check, fetch,
# savepoint, ROLLBACK) counts only when it fails or is slow: a server that accepts connections and fails every
# query would otherwise look half healthy, and "no call has succeeded since" would never hold.

_TROUBLE = (Outcome.FAILURE, Outcome.SLOW)
_OWN_LIMIT = ("connect", "health_check", "commit")


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

    __slots__ = ("_admission", "_counts", "_operation", "_sql", "_started", "_timed", "_wrapper")

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
        self._admission = admission
        self._operation = operation
        self._counts = counts
        self._sql = sql
        self._timed = timed

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        elapsed = time.monotonic() - self._started
        if error is not None:
            told = self._failed(error, elapsed)
            if told is not None:
                raise told from failures.driver_error(error)
            return
        if self._operation == "query" and self._stores_at_once():
            note_commit()
        took = elapsed if self._timed else 0.0
        breaker = self._wrapper.breaker
        if not self._counts and took <= (breaker.config.slow_after or inf):
            return
        self._wrapper.asked = True
        breaker.settle(self._admission, Outcome.SUCCESS, operation=self._operation, took=took)

    def _stores_at_once(self) -> bool:
        wrapper = self._wrapper
        return wrapper.autocommit and not (is_read(self._sql) or begins(self._sql) or wrapper.preparing)

    def _failed(self, error: BaseException, elapsed: float) -> django.db.OperationalError | None:
        """Settle, throw a dead connection away, and return the error to raise instead, if any."""
        if isinstance(error, failures.TOLD):
            return None  # settled where it was raised, inside of this call
        cause = failures.driver_error(error)
        limit = conf.deadline(self._operation if self._operation in _OWN_LIMIT else "statement")
        had_full_time = elapsed >= limit
        outcome = failures.classify(cause, had_full_time=had_full_time)
        if outcome in _TROUBLE and self._wrapper.doubts(
            cause, began=self._started, had_full_time=had_full_time
        ):
            outcome = Outcome.IGNORED
        self._wrapper.asked = True
        self._wrapper.breaker.settle(
            self._admission, outcome, error=cause, operation=self._operation, took=elapsed
        )
        stores = self._operation == "commit" or (self._wrapper.autocommit and not is_read(self._sql))
        self._wrapper.noticed(cause)
        if failures.is_dead(cause):
            self._wrapper.close()
        if isinstance(cause, SpentError):
            return failures.DatabaseDeadlineError(str(cause), before_call=True)
        cut = isinstance(cause, CutError)
        if stores and (cut or failures.is_lost(cause)):
            return failures.OutcomeUnknownError(f"nobody saw how it ended: {cause}")
        return failures.DatabaseDeadlineError(str(cause)) if cut else None
