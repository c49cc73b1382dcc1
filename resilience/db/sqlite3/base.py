"""SQLite behind its guard: ``ENGINE = "resilience.db.sqlite3"``."""

from django.db.backends.sqlite3 import base

from resilience.db.wrapper import GuardedWrapper


class DatabaseWrapper(GuardedWrapper, base.DatabaseWrapper):
    """Django's own engine, guarded in server processes."""

    has_server = False

    _changes = 0  # counted by SQLite at the end of the last transaction

    def transaction_open(self) -> bool:
        return bool(self.connection.in_transaction)

    def transaction_gone(self) -> bool:
        """SQLite rolls back by itself: full disk, no memory, interrupt, a conflict clause that says so."""
        try:
            if self.connection.in_transaction:
                return False
        except self.Database.ProgrammingError:
            return True  # closed behind our back, and what was open on it is rolled back
        # By hand a transaction begins with the first change: before that there is none that could be gone.
        return not self._by_hand or self.connection.total_changes != self._changes

    def transaction_begins(self) -> None:
        if self._by_hand and self.connection is not None:
            self._changes = self.connection.total_changes

    def _savepoint(self, sid: str) -> None:
        if self._by_hand and self.connection is not None and not self.connection.in_transaction:
            # Outside a transaction SQLite takes RELEASE for COMMIT: a later rollback would undo nothing.
            with self.wrap_database_errors:
                self.connection.execute("BEGIN")
        super()._savepoint(sid)
