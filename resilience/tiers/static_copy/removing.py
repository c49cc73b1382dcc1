"""Take rows that were removed or hidden out of the static copy, without exporting everything again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from django.db import DEFAULT_DB_ALIAS, models, transaction

from resilience.conf.databases import STATIC_ALIAS
from resilience.tiers.static_copy import files, folders, info, sources
from resilience.tiers.static_copy.building import BUILD, all_rows, changed, database, delete, from_live
from resilience.tiers.static_copy.declared import declared
from resilience.tiers.static_copy.files import StaticFile
from resilience.tiers.static_copy.info import StaticInfo
from resilience.tiers.static_copy.reading import opened


def without_removed() -> StaticInfo | None:
    """Replace the current file by a copy of it without the rows that may no longer be seen.

    Return None if there are no such rows. Only keys are read, so it takes a moment where an export takes a
    minute. A file from fixtures has other keys, so an export replaces it. Raises
    `django.db.DatabaseError`, `OSError`.
    """
    file = files.current()
    if file.info.source != "export":
        return from_live() if changed() else None
    export, epoch = declared(), files.next_epoch()
    with sources.snapshot():
        public = [set(_keys(resource.rows().using(DEFAULT_DB_ALIAS))) for resource in export.resources]
    with opened():
        held = [set(_keys(each.model._base_manager.using(STATIC_ALIAS))) for each in export.resources]
    gone = [list(there - seen) for there, seen in zip(held, public, strict=True)]
    if not any(gone):
        return None
    return folders.in_one_that_takes_it(partial(_write, file, epoch, gone))


def _write(file: StaticFile, epoch: int, gone: list[list[Any]], folder: Path) -> StaticInfo:
    resources = declared().resources
    with files.published(folder, epoch) as path:
        shutil.copyfile(file.path, path)
        path.chmod(0o600)  # The old one may be read-only.
        with database(path) as connection:
            with transaction.atomic(using=BUILD):
                # Children first: they point to parents.
                for resource, keys in reversed(list(zip(resources, gone, strict=True))):
                    delete(resource.model, keys)
            rows = {each.name: all_rows(each.model).count() for each in resources}
            made = StaticInfo(source="export", as_of=file.info.as_of, rows=rows)
            info.replace(connection.connection, made)
    return made


def _keys(rows: models.QuerySet[Any]) -> Iterator[Any]:
    return iter(rows.order_by().values_list("pk", flat=True).iterator(chunk_size=10_000))
