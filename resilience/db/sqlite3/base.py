"""SQLite behind its guard: ``ENGINE = "resilience.db.sqlite3"``."""

from django.db.backends.sqlite3 import base

from resilience.db.wrapper import GuardedWrapper


class DatabaseWrapper(GuardedWrapper, base.DatabaseWrapper):
    """Django's own engine, guarded in server processes."""

    has_server = False

    _changes = 0  # SQLite's count of changes at the end of the last transaction

    def transaction_open(self) -> bool:
        return bool(self.connection.in_transaction)

    def transaction_gone(self) -> bool:
        """Tell whether SQLite has rolled back by itself: disk full, no memory, interrupt, conflict clause."""
        try:
            if self.connection.in_transaction:
                return False
        except self.Database.ProgrammingError:
            return True  # the program closed the connection, which rolls back an open transaction
        # In a section begun by hand the transaction begins with the first change, and cannot be gone before.
        return not self._by_hand or self.connection.total_changes != self._changes

    def transaction_begins(self) -> None:
        if self._by_hand and self.connection is not None:
            self._changes = self.connection.total_changes

    def _savepoint(self, sid: str) -> None:
        if self._by_hand and self.connection is not None and not self.connection.in_transaction:
            # Outside a transaction RELEASE would be a COMMIT, and a later rollback would undo nothing.
            with self.wrap_database_errors:
                self.connection.execute("BEGIN")
        super()._savepoint(sid)
