"""The catalogue version: a count of the writes. It tells whether a stored answer is still current.

It is one row in the database, raised in the transaction of each write. The host's store has a copy, so that
requests compare with it without asking a server. `removals` counts the writes that removed or hid something.
The table and its column keep their older name, `generation`.
"""

from __future__ import annotations

import logging
from functools import cache, lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import F, Model, Subquery
from django.db.models.signals import post_delete, post_save
from django.utils.module_loading import import_string

from resilience import conf, registry
from resilience.db.transactions import after_commit
from resilience.models import Generation
from resilience.primitives import Mark

logger = logging.getLogger("resilience.tiers")

_ROW = 1

# Note [Raised last of all]
# The row is locked from its UPDATE until COMMIT. If the first write of a transaction raised it, two
# transactions that lock the same entries in a different order would wait for each other. So it is raised just
# before COMMIT: nothing is locked after it, and writers wait for each other only for the length of a COMMIT.


def current() -> Mark:
    """Return the version that this host knows; 0 means that it knows none, so no stored answer is current."""
    return registry.store().marks.read()


@cache
def as_column(using: str) -> Subquery:
    """Return the version as a column to read beside rows: in one statement it is of their state."""
    return Subquery(_rows(using).values("generation"))


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
    """Copy the database's row to the host's store: other hosts and other users' commands write too."""
    row = _rows(DEFAULT_DB_ALIAS).values_list("generation", "removals").first()
    if row is not None:
        registry.store().marks.rise(version=row[0], removals=row[1])


class _PendingRise:
    """Raise the version once for a transaction: in the database before its COMMIT, in the store after it."""

    def __init__(self, using: str) -> None:
        self.removal = False
        self._using = using
        self._mark: tuple[int, int] | None = None

    def __call__(self) -> None:
        rows = _rows(self._using)
        up = {"generation": F("generation") + 1, "removals": F("removals") + int(self.removal)}
        if not rows.update(**up):
            Generation.objects.using(self._using).bulk_create([Generation(pk=_ROW)], ignore_conflicts=True)
            rows.update(**up)
        self._mark = rows.values_list("generation", "removals").get()

    def tell(self) -> None:
        """Copy the version to the host's store; if the store is busy, the steward will do so later."""
        if self._mark is not None and not registry.store().marks.rise(
            version=self._mark[0], removals=self._mark[1]
        ):
            registry.store().counters.add("catalogue_version", "late")
            logger.warning("the store is busy: stored answers of before this write may be served for 6 s")


def _rows(using: str) -> Any:
    return Generation.objects.using(using).filter(pk=_ROW)


# --- Writes through the ORM ---


def listen() -> None:
    """Raise the version whenever a row of an exported model is saved or deleted alone (by `loaddata` too)."""
    post_save.connect(_saved, dispatch_uid="resilience.catalogue_version")
    post_delete.connect(_deleted, dispatch_uid="resilience.catalogue_version")


def _saved(sender: type[Model], instance: Model, *, created: bool, using: str, **_: Any) -> None:
    if using != DEFAULT_DB_ALIAS or sender not in (resources := _resources(conf.get("FALLBACK"))):
        return
    gone = not created and not resources[sender].rows().using(using).filter(pk=instance.pk).exists()
    raise_version(removal=gone, using=using)


def _deleted(sender: type[Model], *, using: str, **_: Any) -> None:
    if using == DEFAULT_DB_ALIAS and sender in _resources(conf.get("FALLBACK")):
        raise_version(removal=True, using=using)


@lru_cache(maxsize=8)
def _resources(path: str | None) -> dict[type[Model], Any]:
    """Return the exported resources by model. Called when a row is saved, so that all apps are loaded."""
    return {} if path is None else {each.model: each for each in import_string(path).resources}
