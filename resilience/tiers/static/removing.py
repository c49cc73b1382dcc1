"""Take out of the static file what went out of sight, without exporting everything again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

from django.db import DEFAULT_DB_ALIAS, transaction

from resilience.tiers.static import files, info, sources
from resilience.tiers.static.building import BUILD, all_rows, database, from_live
from resilience.tiers.static.declared import Resource, declared
from resilience.tiers.static.info import StaticInfo

_BATCH = 500


def without_removed() -> StaticInfo:
    """Put a copy of the current file in its place, less the rows that nobody may see any more.

    Made of the keys alone, so it takes a moment where an export takes a minute. What a file from fixtures
    holds has other keys: it is replaced by an export. Raises `django.db.DatabaseError`, `OSError`.
    """
    file = files.current()
    if file.info.source != "export":
        return from_live()
    export, epoch = declared(), files.next_epoch()
    with sources.snapshot():
        public = [set(_keys(resource)) for resource in export.resources]
    with files.published(epoch) as path:
        shutil.copyfile(file.path, path)
        with database(path) as connection:
            with transaction.atomic(using=BUILD):
                # Children first: they point to parents.
                for resource, seen in reversed(list(zip(export.resources, public, strict=True))):
                    _delete(resource, seen)
            rows = {each.name: all_rows(each.model).count() for each in export.resources}
            made = StaticInfo(source="export", as_of=file.info.as_of, rows=rows)
            info.replace(connection.connection, made)
    return made


def _keys(resource: Resource) -> Iterator[Any]:
    rows = resource.rows().using(DEFAULT_DB_ALIAS).order_by().values_list("pk", flat=True)
    return iter(rows.iterator(chunk_size=10_000))


def _delete(resource: Resource, public: set[Any]) -> None:
    gone = [pk for pk in all_rows(resource.model).values_list("pk", flat=True) if pk not in public]
    for start in range(0, len(gone), _BATCH):
        rows: Any = all_rows(resource.model).filter(pk__in=gone[start : start + _BATCH])
        rows._raw_delete(BUILD)
