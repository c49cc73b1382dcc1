"""Make a table slow in the database itself: the same for every site that asks it.

with Pace(postgres.url, "learn_course") as pace:
    pace.set(0.3)
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql


class Pace:
    """Let each query of a table sleep first, once however many rows it reads.

    A slow table is a view of that name over the renamed one, with `pg_sleep` joined to it. So nobody can
    write it until it is as before, which the end of the block sees to.
    """

    def __init__(self, url: str, table: str) -> None:
        self._url = url
        self._table = sql.Identifier(table)
        self._rows = sql.Identifier(f"{table}_rows")
        self._seconds = 0.0

    def set(self, seconds: float) -> None:
        """Let each query take so many seconds more; 0 is the table as it was."""
        if seconds == self._seconds:
            return
        named = {"table": self._table, "rows": self._rows, "seconds": sql.Literal(seconds)}
        statements = []
        if self._seconds:
            statements += ["DROP VIEW {table}", "ALTER TABLE {rows} RENAME TO {table}"]
        if seconds:
            statements += [
                "ALTER TABLE {table} RENAME TO {rows}",
                "CREATE VIEW {table} AS SELECT {rows}.* FROM {rows} CROSS JOIN pg_sleep({seconds})",
            ]
        with psycopg.connect(self._url) as connection:
            for statement in statements:
                connection.execute(sql.SQL(statement).format(**named))
        self._seconds = seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.set(0.0)
