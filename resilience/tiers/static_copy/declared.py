"""What a project puts into its static copy. `RESILIENCE["FALLBACK"]` names it."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from django.db import connections, models
from django.db.migrations.loader import MigrationLoader
from django.utils.module_loading import import_string

from resilience import conf
from resilience.conf.databases import STATIC_ALIAS
from resilience.primitives import TierUnavailableError
from resilience.tiers.static_copy.info import FORMAT


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Describe one kind of row. `rows()` returns the query of those that everybody may see.

    `changed` is the column with the time of a row's last change.
    """

    name: str
    rows: Callable[[], models.QuerySet[Any]]
    changed: str = "updated"

    @property
    def model(self) -> type[models.Model]:
        """Return the model of the rows."""
        return self.rows().model


@dataclass(frozen=True, kw_only=True)
class Export:
    """List the resources, parents before their children, and what replaces a missing export.

    `fixtures` are files in Django's JSON format. `sample` yields unsaved instances with their keys set, for
    development without fixtures. `version` is to be raised when code computes stored columns in another way:
    a copy of another version is not read.
    """

    resources: Sequence[Resource]
    fixtures: Sequence[Path] = ()
    sample: Callable[[], Iterable[models.Model]] | None = None
    version: str = ""

    @cached_property
    def models(self) -> list[type[models.Model]]:
        """Return the models of all resources, parents first."""
        return [resource.model for resource in self.resources]


def declared() -> Export:
    """Return the project's export; raise `TierUnavailableError` when it has none."""
    path = conf.get("FALLBACK")
    if path is None:
        raise TierUnavailableError("RESILIENCE names no FALLBACK: there is nothing to export")
    export: Export = import_string(path)
    return export


def schema() -> str:
    """Return 12 hex digits that change with the tables of the exported models and the export's `version`.

    A file of another schema is not opened, so during a rolling deploy old and new workers each have their
    own.
    """
    return _schema(conf.get("FALLBACK"))


@lru_cache(maxsize=8)
def _schema(path: str | None) -> str:
    export = declared()
    connection = connections[STATIC_ALIAS]  # which a project without an export need not have
    said: list[Any] = [FORMAT, export.version]
    for model in export.models:
        columns = [(field.column, field.db_type(connection)) for field in model._meta.concrete_fields]
        said.append((model._meta.db_table, columns))
    # Columns do not show search indexes, which queries name too. Those come from migrations.
    for label in sorted({model._meta.app_label for model in export.models}):
        said.append((label, _migrations(label)))
    return hashlib.blake2b(repr(said).encode(), digest_size=6).hexdigest()


def _migrations(label: str) -> list[str]:
    name, _ = MigrationLoader.migrations_module(label)
    if name is None or importlib.util.find_spec(name) is None:
        return []  # an app without migrations
    module = importlib.import_module(name)
    return sorted(found.name for found in pkgutil.iter_modules(module.__path__) if found.name[0] not in "_~")
