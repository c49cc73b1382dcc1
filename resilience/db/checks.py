"""How connections are kept, and what `check --database default` asks the database itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning
from django.db import OperationalError, connections

from resilience import conf
from resilience.conf.databases import ENGINES
from resilience.db.postgresql.connecting import ConnectingWrapper


def check_connections(databases: Sequence[str] | None = None, **_: Any) -> Iterator[CheckMessage]:
    """W051: the server takes as many connections as all workers may have at once."""
    workers = getattr(settings, "WEB_CONCURRENCY", None)
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor != "postgresql" or workers is None or _why_not(connection):
            continue
        with connection.cursor() as cursor:
            if isinstance(connection, ConnectingWrapper) and connection.shares_session():
                continue  # a pooler opens as many as its own settings say
            cursor.execute(
                "SELECT current_setting('max_connections')::int"
                " - current_setting('superuser_reserved_connections')::int"
            )
            most = cursor.fetchone()[0]
        # One for each place of a pool; in one worker the steward's ping and chores each have one beside them.
        places = sum(pool.running for pool in conf.bulkheads().values())
        wanted = workers * places + len(conf.chores()) + 1
        if wanted > most:
            yield Warning(
                f"{workers} workers with {places} places in their pools may open {wanted} connections to "
                f"'{alias}', which takes {most}.",
                hint="Raise max_connections, or lower WEB_CONCURRENCY or what may run at once (BULKHEADS).",
                id="resilience.W051",
            )


def check_pool_options(**_: Any) -> Iterator[CheckMessage]:
    """W014: of `OPTIONS["pool"]`, which Django hands to `psycopg_pool`, only `max_size` is read here."""
    for alias, database in settings.DATABASES.items():
        pool = database.get("OPTIONS", {}).get("pool")
        unread = sorted(set(pool) - {"max_size"}) if isinstance(pool, dict) else []
        if database["ENGINE"] == ENGINES[0] and unread:
            yield Warning(
                f"DATABASES['{alias}']['OPTIONS']['pool'] has what nothing reads: {', '.join(unread)}.",
                hint="Keep max_size, the most idle connections of a process; for the rest see CONN_MAX_AGE, "
                "CONN_HEALTH_CHECKS and RESILIENCE['BULKHEADS'], which say what runs at once.",
                id="resilience.W014",
            )


def check_limits(databases: Sequence[str] | None = None, **_: Any) -> Iterator[CheckMessage]:
    """I052, E053: how the server is told its limits; found out by connecting as a server process does."""
    for alias in databases or ():
        connection = connections[alias]
        if not isinstance(connection, ConnectingWrapper):
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


def _why_not(connection: Any) -> str:
    """Connect; return what the driver says where that fails, and nothing where it does not."""
    try:
        connection.ensure_connection()
    except OperationalError as error:
        return str(error).strip()
    return ""


DATABASE_CHECKS: tuple[Callable[..., Iterator[CheckMessage]], ...] = (check_connections, check_limits)
