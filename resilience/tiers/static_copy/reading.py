"""Enter the static tier: within it, the ORM of this thread reads the static copy that counts now."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3.base import DatabaseWrapper

from resilience.conf.databases import STATIC_ALIAS
from resilience.db.router import static_tier
from resilience.primitives import TierUnavailableError, current_deadline
from resilience.tiers.static_copy import files, keeping
from resilience.tiers.static_copy.declared import declared
from resilience.tiers.static_copy.files import StaticFile
from resilience.tiers.static_copy.info import StaticInfo

# Seconds of a request's budget that are left after it has waited for a file.
_ANSWER = 0.3

# SQLite's errors for a file that is damaged, or is no database.
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class FileConnection(DatabaseWrapper):
    """Django's own SQLite connection, to one static copy. A newer file gets another connection."""

    def __init__(self, file: StaticFile, usual: BaseDatabaseWrapper) -> None:
        super().__init__({**usual.settings_dict, "NAME": file.uri}, STATIC_ALIAS)
        self.file = file

    def ensure_connection(self) -> None:
        # Test cases replace Django's method by one that forbids databases they do not roll back. Nothing can
        # be written here.
        if self.connection is None:
            with self.wrap_database_errors:
                self.connect()


@contextmanager
def opened() -> Iterator[StaticInfo]:
    """Read from the static copy within the block.

    Raises `TierUnavailableError` if there is none, or if it proves to be damaged within the block. It is then
    set aside, and an older one is read until a new one is built.
    """
    file = _current()
    with _connected(file), static_tier(declared().models):
        try:
            yield file.info
        except DatabaseError as error:
            if not _is_damage(error):
                raise
            files.set_aside(file, error)
            raise TierUnavailableError(
                f"the static copy is damaged: {error}", reason="unavailable"
            ) from error


def _current() -> StaticFile:
    """Return the file that counts now; in the first seconds of a server, wait for one."""
    try:
        return files.current()
    except TierUnavailableError:
        deadline = current_deadline()
        if deadline is None:
            raise
        keeping.start.wait(max(0.0, deadline.remaining() - _ANSWER))
        return files.current()


@contextmanager
def _connected(file: StaticFile) -> Iterator[None]:
    """Connect the alias to this file, in this thread."""
    usual = connections[STATIC_ALIAS]
    if isinstance(usual, FileConnection) and usual.file == file:
        yield
        return
    connections[STATIC_ALIAS] = FileConnection(file, usual)
    # Close an older file's connection, and replace one that was never used. Any other is put back at the end:
    # Django's test cases replace `connect` on it or begin a transaction, and expect the same object later.
    if "connect" not in vars(usual) and (usual.connection is None or isinstance(usual, FileConnection)):
        usual.close()
        yield
        return
    try:
        yield
    finally:
        connections[STATIC_ALIAS].close()
        connections[STATIC_ALIAS] = usual


def _is_damage(error: DatabaseError) -> bool:
    cause = error.__cause__
    return isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorname", "").startswith(_DAMAGE)
