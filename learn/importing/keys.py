"""Remembers which courses a file has named already."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

_CACHE_KIB = 4096


class SeenKeys:
    """Map the identity of each course to the line that named it first.

    The keys lie in a temporary SQLite database: 4 MiB of memory however many there are, and beyond that some
    30 bytes a row in a file that the system deletes. An identity is a 128-bit hash: that two courses of one
    file share one by chance is out of the question up to billions of rows.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def claim(self, identity: str, line: int) -> int | None:
        """Note that `line` names this course; return the line that did so before, if there is one."""
        key = bytes.fromhex(identity)
        added = self._connection.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, line))
        if added.rowcount:
            return None
        (first,) = self._connection.execute("SELECT line FROM seen WHERE key = ?", (key,)).fetchone()
        return int(first)


@contextmanager
def seen_keys() -> Iterator[SeenKeys]:
    """Open an empty memory of keys, gone at the end."""
    # No name: SQLite keeps it in memory until it outgrows its cache, then in a file of its own.
    with closing(sqlite3.connect("", isolation_level=None)) as connection:
        connection.executescript(
            f"PRAGMA cache_size = -{_CACHE_KIB}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE seen (key BLOB PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID; BEGIN"
        )
        yield SeenKeys(connection)
