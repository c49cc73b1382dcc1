"""What a pooler's sessions hold after others have used them."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from tests.servers.pgbouncer import PROGRAM, PgBouncerServer

#: All that we ever set.
TOUCHED = (
    "statement_timeout",
    "lock_timeout",
    "client_connection_check_interval",
    "TimeZone",
    "role",
    "search_path",
    "default_transaction_read_only",
    "transaction_isolation",
)
needs_pgbouncer = pytest.mark.skipif(
    PROGRAM is None and "CI" not in os.environ, reason="no pgbouncer here: install Debian's package"
)


def left_behind(pooler: PgBouncerServer, url: str | None = None) -> dict[str, list[Any]]:
    """Return what differs in any session of the pooler, or of its database at `url`, from a fresh one."""
    url = url or pooler.url
    database = url.rpartition("/")[2]
    look = f"SELECT {', '.join(f'current_setting({name!r})' for name in TOUCHED)}"
    kept = "SELECT count(*) FROM pg_cursors UNION ALL SELECT count(*) FROM pg_prepared_statements"
    sessions = [row for row in pooler.console("SHOW SERVERS") if row["database"] == database]
    assert sessions, f"nobody has used {database}"
    with ExitStack() as stack, psycopg.connect(pooler.server.url) as fresh:
        clients = [stack.enter_context(psycopg.connect(url)) for _ in sessions]
        found = [client.execute(look).fetchone() for client in clients]  # each holds a session of its own
        others = [client.execute(kept).fetchall() for client in clients]
        usual = fresh.execute(look).fetchone()
    return {
        "settings": [row for row in found if row != usual],
        "others": [rows for rows in others if rows != [(0,), (0,)]],
    }
