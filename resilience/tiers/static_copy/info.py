"""What a static copy says of itself: where its rows come from, of what time they are, and how many."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# Raised when files of today's code cannot be read by yesterday's, or the other way round.
FORMAT = 1

_TABLE = "resilience_static_file"


@dataclass(frozen=True, kw_only=True, slots=True)
class StaticInfo:
    """Describe a file. `source` is `export`, `fixtures` or `mock`; `rows` counts each resource's.

    `fingerprint` tells whether the live catalogue has changed since an export.
    """

    source: str
    as_of: datetime
    rows: Mapping[str, int]
    fingerprint: str = field(default="", repr=False)

    @property
    def tier(self) -> str:
        """Return what an answer from the file is labelled: made-up rows are never passed off as a copy."""
        return "mock" if self.source == "mock" else "static"

    def shown(self) -> dict[str, Any]:
        """Return what people may see of it, ready for JSON."""
        return {"source": self.source, "as_of": self.as_of.isoformat(), "rows": dict(self.rows)}


def write(connection: Any, info: StaticInfo) -> None:
    """Store it in the file behind this DB-API connection, last of all: a file without it is unfinished."""
    connection.execute(f"CREATE TABLE {_TABLE} (format INTEGER NOT NULL, info TEXT NOT NULL)")
    text = json.dumps({**info.shown(), "fingerprint": info.fingerprint})
    connection.execute(f"INSERT INTO {_TABLE} VALUES (?, ?)", (FORMAT, text))  # noqa: S608 - a constant


def replace(connection: Any, info: StaticInfo) -> None:
    """Store it in a copy of another file."""
    connection.execute(f"DROP TABLE {_TABLE}")
    write(connection, info)


def read(connection: sqlite3.Connection) -> StaticInfo:
    """Return what the file says of itself; raise `ValueError` or `sqlite3.Error` when it says nothing."""
    found = connection.execute(
        f"SELECT info FROM {_TABLE} WHERE format = ?",  # noqa: S608 - a constant
        (FORMAT,),
    ).fetchone()
    if found is None:
        raise ValueError(f"it is not of format {FORMAT}")
    said = json.loads(found[0])
    return StaticInfo(
        source=said["source"],
        as_of=datetime.fromisoformat(said["as_of"]),
        rows=said["rows"],
        fingerprint=said["fingerprint"],
    )
