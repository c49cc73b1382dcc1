"""What a static copy records about itself: the source of its rows, their time, and how many there are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# Raise this number when older code cannot read newer files, or newer code older ones.
FORMAT = 1

_TABLE = "resilience_static_file"


@dataclass(frozen=True, kw_only=True, slots=True)
class StaticInfo:
    """Describe a file. `source` is `export`, `fixtures` or `mock`; `rows` counts each resource's.

    `fingerprint` serves to tell whether the live catalogue has changed since the export.
    """

    source: str
    as_of: datetime
    rows: Mapping[str, int]
    fingerprint: str = field(default="", repr=False)

    @property
    def tier(self) -> str:
        """Return the label of answers from the file: `mock` for made-up rows, else `static`."""
        return "mock" if self.source == "mock" else "static"

    def shown(self) -> dict[str, Any]:
        """Return the part that people may see, ready for JSON."""
        return {"source": self.source, "as_of": self.as_of.isoformat(), "rows": dict(self.rows)}


def write(connection: Any, info: StaticInfo) -> None:
    """Store it in the file of this DB-API connection. Do so last: a file without it is unfinished."""
    connection.execute(f"CREATE TABLE {_TABLE} (format INTEGER NOT NULL, info TEXT NOT NULL)")
    text = json.dumps({**info.shown(), "fingerprint": info.fingerprint})
    connection.execute(f"INSERT INTO {_TABLE} VALUES (?, ?)", (FORMAT, text))  # noqa: S608 - a constant


def replace(connection: Any, info: StaticInfo) -> None:
    """Store it in a copy of another file, instead of that one's."""
    connection.execute(f"DROP TABLE {_TABLE}")
    write(connection, info)


def read(connection: sqlite3.Connection) -> StaticInfo:
    """Return what the file records about itself; raise `ValueError` or `sqlite3.Error` if it has none."""
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
