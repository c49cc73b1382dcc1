"""A transaction ends without an error only if it is stored, or if the program asked for its rollback.

An error within a block may end its transaction: the connection is closed, the server aborts the transaction,
SQLite rolls it back, or a `save()` fails. If a view catches that error, Django ends the block without a word,
and nothing is stored. Here the end of such a block raises `NotStoredError`, unless another exception is on
its way. This holds in every process: an import that silently loses its rows is as bad as a request.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import TracebackType

import django.db
from django.db import transaction
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property

from resilience import causes
from resilience.db.failures import IN_FAILED_TRANSACTION, NotStoredError, classify, first_error
from resilience.db.rollback import DueRollbacks
from resilience.primitives import Outcome
from resilience.request.scope import RequestScope, current_scope

logger = logging.getLogger("resilience.db")


def after_commit(run: Callable[[], None], *, using: str, robust: bool = False) -> None:
    """Call `run` once the transaction is stored, like `transaction.on_commit`.

    It also works in a section that was begun by `set_autocommit(False)`, where Django's function raises.
    """
    connection = transaction.get_connection(using)
    if connection.in_atomic_block or connection.get_autocommit():
        transaction.on_commit(run, using=using, robust=robust)
    else:
        connection.run_on_commit.append((set(connection.savepoint_ids), run, robust))


class _NoticedErrors(DatabaseErrorWrapper):
    """Django's translation of the driver's errors. All of them pass here, also in commands."""

    wrapper: KeptTransactions

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.wrapper.noticed(error)
            super().__exit__(kind, error, trace)


class KeptTransactions(DueRollbacks):
    """Mix in before one of Django's database wrappers. Each engine overrides the first four methods.

    Once the work of a block, or of a section begun by `set_autocommit(False)`, is lost, each further
    statement in it raises `NotStoredError`, and so does its end.
    """

    _request: RequestScope | None = None  # the request that has begun the current transaction
    _logged = False  # whether the log says that the current transaction ended early

    # --- What an engine says of its transaction ---

    def transaction_open(self) -> bool:
        """Tell whether closing the connection would lose a transaction."""
        return False

    def transaction_aborted(self) -> bool:
        """Tell whether the server waits for a rollback, and would answer COMMIT with one."""
        return False

    def transaction_gone(self) -> bool:
        """Tell after an error whether the transaction has ended by it."""
        return False

    def transaction_begins(self) -> None:
        """Note what `transaction_gone` will compare with, if it needs to."""

    # --- What happens within a transaction ---

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        return _NoticedErrors(self)

    def noticed(self, error: BaseException) -> None:
        """After an error of the driver, note whether the current transaction has ended by it."""
        within = self.in_atomic_block or self._by_hand
        if not within or self.connection is None or isinstance(error, django.db.Error):
            return
        if getattr(error, "sqlstate", None) == IN_FAILED_TRANSACTION:
            error.__cause__ = self._first_error()  # this error does not name the first one itself
        elif not self._lost:
            gone = self.transaction_gone()
            if gone or isinstance(error, self.Database.Error):
                self.rollback_exc = error
            if gone:
                self._lose()

    def validate_no_broken_transaction(self) -> None:
        if self._due is not None:
            if self._lost and self.needs_rollback:
                raise self._not_stored("no statement is run before its end")
            self._first_error()
            super().validate_no_broken_transaction()

    def ensure_connection(self) -> None:
        if self.connection is None and self._lost:
            raise self._not_stored("no statement is run before its end")
        super().ensure_connection()

    def connect(self) -> None:
        by_hand = self._by_hand
        super().connect()
        if by_hand and self.autocommit:
            self.set_autocommit(False)  # the section goes on: its statements must not be stored one by one

    def close(self) -> None:
        """As Django's. An open transaction is lost, and its end raises `NotStoredError`."""
        if self.connection is None and self._lost and self._by_hand and self._request is None:
            self._abandon()
        opened = self.connection is not None
        open_by_hand = opened and self._by_hand and self.transaction_open()
        try:
            super().close()
        finally:
            if self.closed_in_transaction:
                # If this were set, Django would end the block without calling us, and without an error.
                self.closed_in_transaction = False
                self.connection = None
                self._lose()
            elif opened and self.connection is None and self._by_hand:
                if open_by_hand:
                    self._lose()
                elif not self._lost:
                    self._by_hand = False

    def close_if_unusable_or_obsolete(self) -> None:
        """As Django's between requests. Within a block, or a section begun by hand, it does nothing.

        A transaction that a request has left open is rolled back when the request ends. Outside of requests
        an open section cannot be told from one that was left long ago: the first call closes its connection,
        as Django does, and the second forgets the section.
        """
        within = self.in_atomic_block or self._by_hand
        if within and self._request is not None:
            if current_scope() is not self._request:
                logger.error("a request has left a transaction on %r open: it is rolled back", self.alias)
                self._abandon()
        elif not self.in_atomic_block:
            lost = self._lost
            super().close_if_unusable_or_obsolete()
            if lost:
                self._abandon()

    def _abandon(self) -> None:
        """End a transaction that was begun and never ended."""
        self.in_atomic_block = self._by_hand = False
        self.atomic_blocks, self.savepoint_ids = [], []
        self._forget()
        self.close()

    def _forget(self) -> None:
        super()._forget()
        self._logged = False

    # --- The end of a transaction ---

    def set_autocommit(
        self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False
    ) -> None:
        force = force_begin_transaction_with_broken_autocommit
        error = None
        if autocommit and self._by_hand and not self.in_atomic_block and self._spoilt():
            error = self._not_stored("its end was reached")
            self._roll_back()
        if autocommit and self.connection is None and not self.run_commit_hooks_on_set_autocommit_on:
            # The connection was closed in this transaction. Django would connect again only to set the mode
            # in which each connection begins, and would hide the error that is on its way.
            self.validate_no_atomic_block()
            self.autocommit = True
        else:
            super().set_autocommit(autocommit, force)
        self._by_hand = not autocommit and not force
        self._request = None if autocommit else current_scope()
        self.transaction_begins()
        if autocommit:
            self._forget()
        if error is not None and sys.exc_info()[1] is None:
            raise error  # if another error is on its way, leave that one

    def commit(self) -> None:
        """As Django's. Raises `NotStoredError` if the transaction was lost or aborted before."""
        try:
            super().commit()
        except NotStoredError:
            self._roll_back()
            raise
        except BaseException:
            self._due = None  # the transaction has ended, though how is unknown
            raise
        self._forget()
        self.transaction_begins()

    def rollback(self) -> None:
        try:
            if self._lost and self.connection is not None and not self.in_atomic_block:
                self.close()  # the driver would refuse to roll back on a lost connection
            super().rollback()
        finally:
            if not self.in_atomic_block:
                self._forget()
                self.transaction_begins()

    def _roll_back(self) -> None:
        try:
            self.rollback()
        except django.db.Error:
            self.close()  # as Django does
            self._forget()

    def _commit(self) -> None:
        self.must_be_whole()
        super()._commit()

    def _savepoint(self, sid: str) -> None:
        try:
            super()._savepoint(sid)
        except BaseException:
            if self.in_atomic_block and not self.atomic_blocks:
                # This block, in a section begun by hand, could not begin. Django would take all that follows
                # on this connection for a part of the block, and never store it.
                self.in_atomic_block = False
            raise

    def _savepoint_commit(self, sid: str) -> None:
        if not self.needs_rollback:  # else this statement is refused, like all others
            self.must_be_whole()
        super()._savepoint_commit(sid)

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)
        self.rollback_exc, self._logged = None, False

    def must_be_whole(self) -> None:
        """Raise `NotStoredError` unless all that the current block has done can still be stored."""
        if self._spoilt():
            error = self._not_stored("its end was reached")
            self._due = None
            raise error

    def _spoilt(self) -> bool:
        return self._due is not None or (self.connection is not None and self.transaction_aborted())

    def _not_stored(self, when: str) -> NotStoredError:
        error = NotStoredError(f"an error ended the transaction on {self.alias!r}, nothing is stored; {when}")
        error.__cause__ = self._first_error()
        return error

    def _first_error(self) -> BaseException | None:
        """Return the error that ended the transaction, and log it once, since the program caught it."""
        first = None if self.rollback_exc is None else first_error(self.rollback_exc)
        if not self._logged:
            self._logged = True
            mistake = first is not None and classify(first) is Outcome.ANSWERED
            unseen = "its connection was closed" if self._lost else "unknown"
            logger.log(
                logging.ERROR if mistake else logging.WARNING,
                "the transaction on %r is not stored: it was ended by an error that was caught in it: %s",
                self.alias,
                unseen if first is None else causes.describe(first),
                exc_info=first if mistake else None,
            )
        return first
