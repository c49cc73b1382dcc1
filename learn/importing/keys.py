"""Remembers which courses a file has already named."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

_CACHE_KIB = 4096


class SeenKeys:
    """Map the identity of each course to the line that named it first.

    The keys are in a temporary SQLite database. It takes at most 4 MiB of memory, and beyond that about 30
    bytes a row in a file that the system deletes. An identity is a 128-bit hash: even with billions of rows
    two courses do not share one by chance.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def claim(self, identity: str, line: int) -> int | None:
        """Note that `line` names this course; return the line that named it before, or None."""
        key = bytes.fromhex(identity)
        added = self._connection.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, line))
        if added.rowcount:
            return None
        (first,) = self._connection.execute("SELECT line FROM seen WHERE key = ?", (key,)).fetchone()
        return int(first)


@contextmanager
def seen_keys() -> Iterator[SeenKeys]:
    """Open an empty `SeenKeys`, which is deleted when the block ends."""
    # Without a name SQLite keeps it in memory, and in a temporary file once it outgrows the cache.
    with closing(sqlite3.connect("", isolation_level=None)) as connection:
        connection.executescript(
            f"PRAGMA cache_size = -{_CACHE_KIB}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE seen (key BLOB PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID; BEGIN"
        )
        yield SeenKeys(connection)
