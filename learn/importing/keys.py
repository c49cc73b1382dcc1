"""Remembers which courses a file has already named."""

from __future__ import annotations

import sqlite3

_CACHE_KIB = 4096


class SeenKeys:
    """Map the identity of each course to the line that named it first.

    The keys are in a temporary SQLite database. It takes at most 4 MiB of memory, and beyond that about 30
    bytes a row in a file that the system deletes. An identity is a 128-bit hash: even with billions of rows
    two courses do not share one by chance.
    """

    def __init__(self) -> None:
        # Without a name SQLite keeps it in memory, and in a temporary file once it outgrows the cache.
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.executescript(
            f"PRAGMA cache_size = -{_CACHE_KIB}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE seen (key BLOB PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID; BEGIN"
        )
        self.close = self._connection.close

    def claim(self, identity: str, line: int) -> int | None:
        """Note that `line` names this course; return the line that named it before, or None."""
        key = bytes.fromhex(identity)
        added = self._connection.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, line))
        if added.rowcount:
            return None
        (first,) = self._connection.execute("SELECT line FROM seen WHERE key = ?", (key,)).fetchone()
        return int(first)
