"""Where the rows of a static copy come from: the live database, fixtures, or samples.

Each source yields a model and its rows, as values of the columns (`attname`), parents first.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.models.signals import pre_save

from resilience.tiers import catalogue_version
from resilience.tiers.static_copy.declared import Export

Rows = Iterator[tuple[type[models.Model], Iterable[tuple[Any, ...]]]]

_CHUNK = 2_000


@contextmanager
def snapshot() -> Iterator[None]:
    """Read one state of the live database within the block, without blocking writers."""
    connection: Any = connections[DEFAULT_DB_ALIAS]
    connection.ensure_connection()
    mode = getattr(connection, "transaction_mode", None)
    if connection.vendor == "sqlite":
        connection.transaction_mode = None  # IMMEDIATE would lock all writers out.
    try:
        with transaction.atomic(using=DEFAULT_DB_ALIAS):
            if connection.vendor == "postgresql" and not connection.savepoint_ids:
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
    finally:
        if connection.vendor == "sqlite":
            connection.transaction_mode = mode


def fingerprint(export: Export) -> str:
    """Return a text that changes whenever the public rows may have changed.

    It has the catalogue version, which each write raises, also one that commits late and so has an older time
    of change than rows that were exported before. And for writes that go past the version it has how many
    rows there are, and their last change.
    """
    said = [str(catalogue_version.total(DEFAULT_DB_ALIAS))]
    for resource in export.resources:
        found = resource.rows().using(DEFAULT_DB_ALIAS).order_by()
        of_rows = found.aggregate(rows=models.Count("pk"), last=models.Max(resource.changed))
        said.append(f"{of_rows['rows']},{of_rows['last']}")
    return ";".join(said)


def live(export: Export) -> Rows:
    """Yield the public rows of the live database, within its `snapshot`."""
    for resource in export.resources:
        names = [field.attname for field in resource.model._meta.concrete_fields]
        found = resource.rows().using(DEFAULT_DB_ALIAS).order_by("pk").values_list(*names)
        yield resource.model, found.iterator(chunk_size=_CHUNK)


def fixtures(paths: Iterable[Path]) -> Rows:
    """Yield the rows of files in Django's JSON format.

    It does what `loaddata` does, but finds natural keys in memory, not by a query each: a server that starts
    in an outage waits for this. Raises `OSError`, `ValueError`, `LookupError`.
    """
    keys: dict[tuple[Any, ...], Any] = {}
    numbers: dict[type[models.Model], Iterator[int]] = {}
    for path in paths:
        for record in json.loads(path.read_bytes()):
            model = apps.get_model(record["model"])
            instance = model(pk=record.get("pk") or next(numbers.setdefault(model, itertools.count(1))))
            for name, value in record["fields"].items():
                _set(instance, model._meta.get_field(name), value, keys)
            yield _saved(instance)
            if hasattr(instance, "natural_key"):
                keys[(model, *instance.natural_key())] = instance.pk


def _set(instance: models.Model, field: Any, value: Any, keys: dict[tuple[Any, ...], Any]) -> None:
    if isinstance(field, models.ForeignKey) and isinstance(value, list):
        setattr(instance, field.attname, keys[(field.related_model, *value)])
    elif isinstance(field, models.ForeignKey):
        setattr(instance, field.attname, field.target_field.to_python(value))
    else:
        setattr(instance, field.attname, field.to_python(value))


def sample(export: Export) -> Rows:
    """Yield the generated rows."""
    for instance in export.sample() if export.sample is not None else ():
        yield _saved(instance)


def _saved(instance: models.Model) -> tuple[type[models.Model], list[tuple[Any, ...]]]:
    """Return the row that `loaddata` would store for the instance, with the columns that receivers fill."""
    model = type(instance)
    pre_save.send(sender=model, instance=instance, raw=True, using=None, update_fields=None)
    return model, [tuple(getattr(instance, field.attname) for field in model._meta.concrete_fields)]
