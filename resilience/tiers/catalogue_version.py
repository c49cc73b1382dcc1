"""The catalogue version: what each write raises. It tells whether a stored answer is still current.

It lies in a table of the database, and rises in the transaction of each write. The host's store has a copy,
so that requests compare with it without asking a server. `removals` rises likewise when a write removed or
hid something. The table and its column keep their older name, `generation`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import BigIntegerField, F, Func, Model, Subquery, Sum
from django.db.models.functions import Cast
from django.db.models.signals import post_delete, post_migrate, post_save
from django.utils.module_loading import import_string

from resilience import conf, registry
from resilience.db import probe
from resilience.db.transactions import after_commit
from resilience.models import Generation
from resilience.primitives import Mark

logger = logging.getLogger("resilience.tiers")

# Note [Raised last of all]
# A row is locked from its statement until COMMIT. If the first write of a transaction raised it, two
# transactions that lock the same entries in a different order would wait for each other. So it is raised just
# before COMMIT: nothing is locked after it.

# Note [Rows for writers]
# With one row, writers would also wait for each other's COMMIT: a database that stores in 5 ms would take 200
# writes a second. So PostgreSQL has 32 rows, and each session raises the one that its process number gives. A
# row is made by its first writer. SQLite has one writer at a time anyhow, and one row.
#
# A row holds the time of its last write in microseconds, by the server's clock, and at least one more than
# before. So after a failover that lost commits the next write has a number that was not there before, even
# where hosts still know the lost ones.

_ONE_ROW = 1

_RAISE = """
    INSERT INTO resilience_generation AS known (id, generation, removals)
    SELECT pg_backend_pid() %% 32 + 1, now, now * %s
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) AS clock
    ON CONFLICT (id) DO UPDATE SET
        generation = greatest(known.generation + 1, excluded.generation),
        removals = greatest(known.removals + %s, excluded.removals)
    RETURNING id, generation, removals
"""

# At least one row comes back, so that a standby without any is told from a primary without any.
_READ = """
    SELECT {standby}, id, generation, removals
    FROM (SELECT 1) AS one LEFT JOIN resilience_generation ON id BETWEEN 1 AND 32
"""
_STANDBY = {"postgresql": "pg_is_in_recovery()"}


def current() -> Mark:
    """Return the version that this host knows; 0 means that it knows none, so no stored answer is current."""
    return registry.store().marks.read()


@cache
def as_column(using: str) -> Subquery:
    """Return the version as a column to read beside rows: in one statement it is of their state."""
    total = Cast(Func(F("generation"), function="SUM"), BigIntegerField())
    return Subquery(Generation.objects.using(using).annotate(total=total).values("total"))


def total(using: str) -> int:
    """Return the sum of all rows, which each write raises; 0 without any. Raises the database's errors."""
    rows = Generation.objects.using(using)
    return int(rows.aggregate(total=Sum("generation"))["total"] or 0)


def has_table(using: str) -> bool:
    """Tell whether the version's table is there: another app's migration may run before it is made."""
    return Generation._meta.db_table in connections[using].introspection.table_names()


def raise_version(*, removal: bool = False, using: str = DEFAULT_DB_ALIAS) -> None:
    """Raise the version in the transaction of a write; `removal`: the write removes or hides something.

    Outside a transaction it is raised at once. Raises the database's errors.
    """
    connection: Any = connections[using]
    raised = _PendingRise(using)
    if connection.in_atomic_block and hasattr(connection, "before_commit"):
        # See Note [Raised last of all]
        pending = connection.before_commit(_PendingRise, raised)
        pending.removal |= removal
        after_commit(pending.tell, using=using, robust=True)
    else:
        raised.removal = removal
        raised()
        after_commit(raised.tell, using=using, robust=True)


def refresh(epoch: int = 0) -> None:
    """Learn the version from the database: other hosts and other users' commands write too.

    The steward does so with each of its pings. Raises the database's errors.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor:
        _learn(cursor, connection.vendor)


def _learn(cursor: Any, vendor: str) -> None:
    """Ask for all rows, by a cursor of Django or of the driver, and tell the host.

    What the host knows is noted before: a row that rises meanwhile is not lowered again.
    """
    store = registry.store()
    noted = store.marks.rows()
    told = _rows(cursor, vendor)
    if told is not None and not store.marks.correct(noted, told):
        store.counters.add("catalogue_version", "late")


def _rows(cursor: Any, vendor: str) -> dict[int, Mark] | None:
    """Return all rows of the primary; None from a standby, which lags: what it says less was not lost."""
    cursor.execute(_READ.format(standby=_STANDBY.get(vendor, "0")))
    rows = cursor.fetchall()
    if rows[0][0]:
        return None
    return {row: Mark(*mark) for _, row, *mark in rows if row is not None}


class _PendingRise:
    """Raise the version once for a transaction: in the database before its COMMIT, in the store after it."""

    def __init__(self, using: str) -> None:
        self.removal = False
        self._using = using
        self._raised: tuple[int, int, int] | None = None  # the row, its version and removals

    def __call__(self) -> None:
        connection = connections[self._using]
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(_RAISE, [int(self.removal)] * 2)
                self._raised = cursor.fetchone()
        else:
            self._raised = self._raise_one_row()

    def _raise_one_row(self) -> tuple[int, int, int]:
        rows: Any = Generation.objects.using(self._using).filter(pk=_ONE_ROW)
        up = {"generation": F("generation") + 1, "removals": F("removals") + int(self.removal)}
        if not rows.update(**up):
            Generation.objects.using(self._using).bulk_create(
                [Generation(pk=_ONE_ROW)], ignore_conflicts=True
            )
            rows.update(**up)
        raised: tuple[int, int, int] = rows.values_list("pk", "generation", "removals").get()
        return raised

    def tell(self) -> None:
        """Tell the host's store, once: each written row of a transaction asks for it.

        If the store is busy, the steward learns the version within a second.
        """
        if self._raised is None:
            return
        (row, version, removals), self._raised = self._raised, None
        store = registry.store()
        try:
            told = store.marks.rise(row, version=version, removals=removals)
        except Exception:  # of any kind: the write is stored
            store.counters.add("catalogue_version", "failed")
            logger.exception("the store failed: stored answers of before this write may be served for 2 s")
            return
        if not told:
            store.counters.add("catalogue_version", "late")
            logger.warning("the store is busy: stored answers of before this write may be served for 2 s")


# --- Writes through the ORM ---


def listen() -> None:
    """Raise the version with each write that Django tells of, and learn it with each ping of the steward.

    Those are: a row of an exported model is saved or deleted alone, by `loaddata` too; its app was migrated.
    """
    probe.also_ask("catalogue version", _learn)
    post_save.connect(_saved, dispatch_uid="resilience.catalogue_version")
    post_delete.connect(_deleted, dispatch_uid="resilience.catalogue_version")
    post_migrate.connect(_migrated, dispatch_uid="resilience.catalogue_version")


def _saved(sender: type[Model], instance: Model, *, created: bool, using: str, **_: Any) -> None:
    if using != DEFAULT_DB_ALIAS or sender not in (resources := _resources(conf.get("FALLBACK"))):
        return
    gone = not created and not resources[sender].rows().using(using).filter(pk=instance.pk).exists()
    raise_version(removal=gone, using=using)


def _deleted(sender: type[Model], *, using: str, **_: Any) -> None:
    if using == DEFAULT_DB_ALIAS and sender in _resources(conf.get("FALLBACK")):
        raise_version(removal=True, using=using)


def _migrated(sender: Any, *, using: str, plan: Sequence[tuple[Any, bool]] = (), **_: Any) -> None:
    """Raise the version after migrations of an exported app: what they wrote and hid, no signal has told.

    A database in which nobody has raised it yet stays as it is: no host knows a version of it.
    """
    if using != DEFAULT_DB_ALIAS or not any(each.app_label == sender.label for each, _ in plan):
        return
    exported = {model._meta.app_label for model in _resources(conf.get("FALLBACK"))}
    if sender.label in exported and has_table(using) and total(using):
        raise_version(removal=True, using=using)


@lru_cache(maxsize=8)
def _resources(path: str | None) -> dict[type[Model], Any]:
    """Return the exported resources by model. Called when a row is saved, so that all apps are loaded."""
    return {} if path is None else {each.model: each for each in import_string(path).resources}
