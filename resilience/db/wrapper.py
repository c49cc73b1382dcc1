"""Connections and transactions of a guarded alias: when the breaker is asked, and what always passes.

Only server processes are guarded. In a command each method does the same as Django's. In shadow a server's
calls are measured, and nothing else differs from Django's. In every process a transaction that is not stored
ends with an error (`db.transactions`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from django.utils.functional import cached_property

from resilience import conf, registry
from resilience.conf import databases
from resilience.db import failures, faults
from resilience.db.cursor import GuardedCursor, GuardedDebugCursor
from resilience.db.failures import DatabaseDeadlineError, DatabaseRefusedError
from resilience.db.measure import Measured
from resilience.db.transactions import KeptTransactions
from resilience.primitives import (
    Admission,
    BreakerOpenError,
    Call,
    CircuitBreaker,
    Outcome,
    OverdueError,
    current_deadline,
    cut_short,
    deadline_scope,
)
from resilience.request.scope import note_commit

# Note [Why COMMIT is never refused]
# The breaker is asked when a transaction begins, and its admission holds until the end. To refuse the COMMIT
# would roll back work that is already done, on a server that may be well again. So COMMIT is always sent, and
# measured.


_OWN_LIMIT = ("connect", "health_check", "commit")

Last = TypeVar("Last", bound=Callable[[], None])


class GuardedWrapper(KeptTransactions):
    """Mix in before one of Django's database wrappers.

    Beside Django's errors it raises ``DatabaseRefusedError``, ``DatabaseDeadlineError``, ``NotStoredError``
    and ``OutcomeUnknownError``, which all are ``django.db.OperationalError``.
    """

    cursor_class: type[GuardedCursor] = GuardedCursor
    debug_cursor_class: type[GuardedCursor] = GuardedDebugCursor

    has_server = True  # without one, an open connection is always usable

    asked = False  # whether a call was made with the admission that is held
    controlling = False  # within a statement that always passes
    preparing = False  # within connect or health check, whose statements share one admission
    _admission: Admission | None = None  # of the running transaction, or of a connect or health check

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last: dict[Hashable, Any] = {}

    @cached_property
    def breaker_name(self) -> str:
        """The name of the breaker of this alias; aliases of one endpoint share it."""
        return databases.breaker_of(self.alias)

    @property
    def breaker(self) -> CircuitBreaker:
        return registry.breaker(self.breaker_name)

    # --- Admission ---

    def admitted(self) -> Admission:
        """Return the admission of the running transaction; ask the breaker if there is none.

        Raises ``DatabaseRefusedError`` if it refuses, ``DatabaseDeadlineError`` if the budget is spent.
        """
        deadline = current_deadline()
        if deadline is not None and deadline.expired and not self.controlling:
            raise DatabaseDeadlineError("the time budget was spent before the call", before_call=True)
        if self._admission is not None:
            return self._admission
        try:
            admission = self.breaker.admit()
        except BreakerOpenError as refusal:
            raise DatabaseRefusedError.of(refusal) from None
        if not self.autocommit:  # a transaction that was begun by hand
            self._hold(admission)
        return admission

    def _hold(self, admission: Admission) -> None:
        self._admission, self.asked = admission, False

    def _release(self) -> None:
        """Forget the admission that is held. Give back a permit with which no call was made."""
        admission, self._admission = self._admission, None
        if admission is not None and admission.permit and not self.asked:
            self.breaker.settle(admission, Outcome.IGNORED)

    @contextmanager
    def _prepare(self) -> Iterator[Admission]:
        """Hold one admission for all that precedes a query: connect, health check."""
        outer, held = self.preparing, self._admission is not None
        admission = self.admitted()
        if not held:
            self._hold(admission)
        self.preparing = True
        try:
            yield admission
        finally:
            self.preparing = outer
            if not held:
                self._release()

    # --- Connection ---

    def is_pooled_by_django(self) -> bool:
        """Tell whether Django's pool makes the connections: in shadow, if `OPTIONS["pool"]` says so."""
        return conf.shadow() and bool(self.settings_dict["OPTIONS"].get("pool"))

    def connect(self) -> None:
        if not registry.is_server():
            return super().connect()
        with (
            self._prepare() as admission,
            Measured(self, admission, "connect"),
            deadline_scope(conf.deadline("connect")) if registry.enforces() else nullcontext(),
        ):
            return super().connect()

    def get_new_connection(self, conn_params: Any) -> Any:
        if self.preparing:
            faults.inject(self.breaker_name)
        return super().get_new_connection(conn_params)

    def is_usable(self) -> bool:
        """As Django's, between requests; returns False without a wait while calls are refused."""
        if self.preparing or not self.has_server or not registry.enforces():
            return super().is_usable()
        if self.breaker.refuses():
            return False
        with deadline_scope(conf.deadline("health_check")):
            return super().is_usable()

    def prove(self) -> None:
        """Make sure, before a statement that is not repeated, that a kept connection still works."""

    def judge(self, call: Call, cause: BaseException) -> Outcome:
        """Return what a driver's error counts as; it is ignored if only a kept connection failed."""
        if isinstance(cause, OverdueError):
            return Outcome.FAILURE
        limit = self.limit_of(call.operation)
        outcome = failures.classify(cause, cut=cut_short(self.breaker.config, call.took, limit))
        return Outcome.IGNORED if self.doubts(cause, call, outcome) else outcome

    @staticmethod
    def limit_of(operation: str) -> float:
        """Return the seconds that a call may take."""
        return conf.deadline(operation if operation in _OWN_LIMIT else "statement")

    def doubts(self, error: BaseException, call: Call, outcome: Outcome) -> bool:
        """Tell whether a call failed only by its kept connection, which is no failure of the server."""
        return False

    def close(self) -> None:
        self._last.clear()
        try:
            super().close()
        finally:
            if not self.preparing:
                self._release()

    # --- Transaction ---

    def set_autocommit(
        self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False
    ) -> None:
        force = force_begin_transaction_with_broken_autocommit
        if self.preparing or not registry.is_server():
            return super().set_autocommit(autocommit, force)
        if not autocommit:
            self._hold(self.admitted())
            try:
                self.prove()
                return super().set_autocommit(False, force)
            except BaseException:
                self._release()
                raise
        try:
            super().set_autocommit(True, force)
        finally:
            self._release()

    def as_sent(self, sql: str, params: Any) -> str:
        """Return a statement as the database gets it: positions in its errors count from there."""
        return sql

    def give_back(self) -> None:
        """Give the connection to its next user before the request ends, if the engine keeps connections."""

    def before_commit(self, key: Hashable, run: Last) -> Last:
        """Call `run` at the end of this transaction, before COMMIT; return the one kept for `key`.

        For each key only the first `run` is kept.
        """
        last: Last = self._last.setdefault(key, run)
        return last

    def _commit(self) -> None:
        # See Note [Why COMMIT is never refused]
        try:
            self.must_be_whole()
            while self._last:
                with self._control():
                    self._last.popitem()[1]()
            if self._admission is None or not self.asked:
                return super()._commit()  # nothing was sent since BEGIN, so there is no wait to measure
            with Measured(self, self._admission, "commit", counts=True):
                super()._commit()
            note_commit()
        finally:
            self._release()

    def _rollback(self) -> None:
        self._last.clear()
        try:
            if self._admission is None:
                return super()._rollback()
            with Measured(self, self._admission, "rollback"):
                return super()._rollback()
        finally:
            self._release()

    def _savepoint(self, sid: str) -> None:
        with self._control():
            super()._savepoint(sid)

    def _savepoint_rollback(self, sid: str) -> None:
        with self._control():
            super()._savepoint_rollback(sid)

    def _savepoint_commit(self, sid: str) -> None:
        with self._control():
            super()._savepoint_commit(sid)

    @contextmanager
    def _control(self) -> Iterator[None]:
        """Let a statement that controls the transaction pass, even if the budget is spent."""
        outer, self.controlling = self.controlling, True
        try:
            with self.patience():
                yield
        finally:
            self.controlling = outer

    def patience(self) -> AbstractContextManager[None]:
        """Give each wait in the block a moment, even if the budget is spent."""
        return nullcontext()

    # --- Cursors ---

    def make_cursor(self, cursor: Any) -> Any:
        if not registry.is_server():
            return super().make_cursor(cursor)
        return (self.cursor_class if registry.enforces() else GuardedCursor)(cursor, self)

    def make_debug_cursor(self, cursor: Any) -> Any:
        if not registry.is_server():
            return super().make_debug_cursor(cursor)
        return (self.debug_cursor_class if registry.enforces() else GuardedDebugCursor)(cursor, self)
