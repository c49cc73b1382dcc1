"""What `check --database default` asks the database itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Info, Warning
from django.db import connections

from resilience.db.postgresql.connecting import ConnectingWrapper


def check_connections(databases: Sequence[str] | None = None, **_: Any) -> Iterator[CheckMessage]:
    """W051: the server takes as many connections as all threads open."""
    threads, workers = getattr(settings, "WEB_THREADS", None), getattr(settings, "WEB_CONCURRENCY", None)
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor != "postgresql" or threads is None or workers is None:
            continue
        with connection.cursor() as cursor:
            if isinstance(connection, ConnectingWrapper) and connection.shares_session():
                continue  # a pooler opens as many as its own settings say
            cursor.execute(
                "SELECT current_setting('max_connections')::int"
                " - current_setting('superuser_reserved_connections')::int"
            )
            most = cursor.fetchone()[0]
        # Each thread keeps one, and the steward of each worker may open one beside them.
        wanted = workers * (threads + 1)
        if wanted > most:
            yield Warning(
                f"{workers} workers of {threads} threads may open {wanted} connections to '{alias}', "
                f"which takes {most}.",
                hint="Raise max_connections, or lower WEB_CONCURRENCY or WEB_THREADS.",
                id="resilience.W051",
            )


def check_limits(databases: Sequence[str] | None = None, **_: Any) -> Iterator[CheckMessage]:
    """I052: how the server is told its limits; found out by connecting as a server process does."""
    for alias in databases or ():
        connection = connections[alias]
        if not isinstance(connection, ConnectingWrapper):
            continue
        connection.ensure_connection()
        if connection.shares_session():
            way = "by SET LOCAL in each transaction: this address takes no start-up parameters, as a pooler's"
        else:
            way = "by start-up parameters, once for each connection"
        yield Info(f"'{alias}' is told its limits {way}.", id="resilience.I052")


DATABASE_CHECKS: tuple[Callable[..., Iterator[CheckMessage]], ...] = (check_connections, check_limits)
