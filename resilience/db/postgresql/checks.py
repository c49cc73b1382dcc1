"""System checks for PostgreSQL: of settings and, with `check --database default`, of the server itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning
from django.db import OperationalError, connections

from resilience import conf
from resilience.conf import capacity
from resilience.conf.databases import ENGINES

# What the server takes of this user and database, beside what it reserves (the second since PostgreSQL 16).
_MOST = """
SELECT least(
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0),
    (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
    (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()))
"""


def check_connections(databases: Sequence[str] | None = None, **_: Any) -> Iterator[CheckMessage]:
    """W051: the workers together may open more connections than the server takes."""
    workers = getattr(settings, "WEB_CONCURRENCY", None)
    for alias in databases or ():
        connection: Any = connections[alias]
        if connection.vendor != "postgresql" or workers is None or _why_not(connection):
            continue
        with connection.cursor() as cursor:
            if _is_guarded(connection) and connection.shares_session():
                continue  # a pooler has settings of its own for that
            cursor.execute(_MOST)
            most = cursor.fetchone()[0]
        pools = conf.bulkheads()
        wanted = capacity.connections(pools, workers)
        if wanted > most:
            yield Warning(
                f"{workers} workers, each with {capacity.places(pools)} places in its pools and "
                f"{capacity.BESIDE} connections beside, may open {wanted} connections to '{alias}', which "
                f"takes {most}.",
                hint=_fitting(pools, workers, wanted, most),
                id="resilience.W051",
            )


def _fitting(pools: capacity.Pools, workers: int, wanted: int, most: int) -> str:
    """Return the numbers that would fit, each alone."""
    fewer, smaller = capacity.workers(pools, most), capacity.within_connections(pools, workers, most)
    ways = [f"Let the server take {wanted}, beside those that it reserves (max_connections)"]
    if fewer:
        ways.append(f"lower WEB_CONCURRENCY to {fewer}")
    if smaller:
        ways.append(f"lower BULKHEADS (running + waiting) to {capacity.in_words(smaller)}")
    return ", or ".join(ways) + ". Other hosts and programs need connections, too."


def check_pool_options(**_: Any) -> Iterator[CheckMessage]:
    """W014: `OPTIONS["pool"]` has an entry other than `max_size`, the only one that is read here.

    Django would hand all of them to `psycopg_pool`.
    """
    for alias, database in settings.DATABASES.items():
        pool = database.get("OPTIONS", {}).get("pool")
        unread = sorted(set(pool) - {"max_size"}) if isinstance(pool, dict) else []
        if database["ENGINE"] == ENGINES[0] and unread:
            yield Warning(
                f"In DATABASES['{alias}']['OPTIONS']['pool'] nothing reads {', '.join(unread)}.",
                hint="Keep max_size, the most idle connections of a process. See CONN_MAX_AGE and "
                "CONN_HEALTH_CHECKS for the rest, and RESILIENCE['BULKHEADS'] for how many run at once.",
                id="resilience.W014",
            )


def check_limits(databases: Sequence[str] | None = None, **_: Any) -> Iterator[CheckMessage]:
    """I052: how the database server is told its limits. E053: no server process could connect to it.

    Both are found out by connecting as a server process does.
    """
    for alias in databases or ():
        connection: Any = connections[alias]
        if not _is_guarded(connection):
            continue
        if why := _why_not(connection):
            yield Error(
                f"No server process could connect to '{alias}': {why}",
                hint="docs/poolers.md says which poolers were tried." if "pool" in why else None,
                id="resilience.E053",
            )
            continue
        if connection.shares_session():
            way = "by SET LOCAL in each transaction: this address takes no start-up parameters, as a pooler's"
        else:
            way = "by start-up parameters, once for each connection"
        yield Info(f"'{alias}' is told its limits {way}.", id="resilience.I052")


def _is_guarded(connection: Any) -> bool:
    """Tell whether an alias has our engine for PostgreSQL; to import that would need its driver."""
    return bool(connection.settings_dict["ENGINE"] == ENGINES[0])


def _why_not(connection: Any) -> str:
    """Connect; return the driver's message if that fails, else an empty text."""
    try:
        connection.ensure_connection()
    except OperationalError as error:
        return str(error).strip()
    return ""


DATABASE_CHECKS: tuple[Callable[..., Iterator[CheckMessage]], ...] = (check_connections, check_limits)
