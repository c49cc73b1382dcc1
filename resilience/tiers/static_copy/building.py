"""Build a static copy: the exported apps' own tables, filled, indexed, and put in place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from resilience.conf.databases import STATIC_ALIAS
from resilience.journal import events
from resilience.primitives import ResilienceError
from resilience.tiers.static_copy import files, folders, info, sources
from resilience.tiers.static_copy.declared import Export, declared
from resilience.tiers.static_copy.info import StaticInfo

logger = logging.getLogger("resilience.static")

# A file that is being built has its own alias, known to this thread alone. So migrations never run on the
# tier's alias.
BUILD = "resilience-static-build"

_BATCH = 500
# Nobody reads the file before it is complete, and a failed one is thrown away.
_PRAGMAS = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536"


class BuildError(ResilienceError):
    """No static copy could be built; the message says why. An earlier copy stays in use."""


class BusyError(BuildError):
    """Another process of this host is building one."""


def from_live() -> StaticInfo:
    """Export the public rows of the live database; raise `django.db.DatabaseError` if that fails."""
    export = declared()
    epoch, as_of = files.next_epoch(), timezone.now()
    with sources.snapshot():
        mark = sources.fingerprint(export)
        return _build(export, epoch, "export", lambda: sources.live(export), as_of=as_of, fingerprint=mark)


def changed() -> bool:
    """Tell whether the live catalogue differs from the last export.

    An empty database does not replace fixtures: it has just been made, and is about to be filled.
    """
    export = declared()
    with sources.snapshot():
        mark = sources.fingerprint(export)
        rows = any(resource.rows().using(DEFAULT_DB_ALIAS).exists() for resource in export.resources)
    try:
        known = files.current().info
    except ResilienceError:
        return rows
    return mark != known.fingerprint and (rows or known.source == "export")


def from_fixtures(*, rescue: bool = False) -> StaticInfo:
    """Build from the fixtures; under DEBUG from samples if the fixtures do not open. Raises `BuildError`."""
    export, epoch = declared(), files.next_epoch(rescue=rescue)
    try:
        return _build(export, epoch, "fixtures", lambda: sources.fixtures(export.fixtures))
    except (OSError, ValueError, LookupError) as error:
        if not settings.DEBUG or export.sample is None:
            raise BuildError(f"the fixtures do not open: {type(error).__name__}: {error}") from error
        logger.warning("the fixtures do not open (%s): samples stand in, since DEBUG is on", error)
    return _build(export, epoch, "mock", lambda: sources.sample(export))


@contextmanager
def alone() -> Iterator[None]:
    """Keep other processes of this host from building; raise `BusyError` if one of them is building."""
    with files.locked("build") as mine:
        if not mine:
            raise BusyError("another process is building the static copy")
        files.clear_abandoned()
        yield


def _build(
    export: Export,
    epoch: int,
    source: str,
    rows: Callable[[], sources.Rows],
    *,
    as_of: datetime | None = None,
    fingerprint: str = "",
) -> StaticInfo:
    def build_in(folder: Path) -> StaticInfo:
        with files.published(folder, epoch) as path, database(path) as connection:
            _make_tables(connection, export)
            later = _take_away_indexes(connection, export)
            with transaction.atomic(using=BUILD):
                for model, found in rows():
                    _insert(connection, model, iter(found))
                _hide(export)
            _run(connection, later)
            connection.check_constraints()
            _run(connection, ["ANALYZE"])
            counts = {each.name: all_rows(each.model).count() for each in export.resources}
            made = StaticInfo(
                source=source, as_of=as_of or _last_change(export), rows=counts, fingerprint=fingerprint
            )
            info.write(connection.connection, made)
        logger.info("built a static copy from %s: %s", source, counts)
        events.record("static_built", source=source, epoch=epoch, rows=sum(counts.values()))
        return made

    return folders.in_one_that_takes_it(build_in)


@contextmanager
def database(path: Path) -> Iterator[Any]:
    """Open the file to be filled, under the alias `BUILD`."""
    usual = connections[STATIC_ALIAS].settings_dict
    options = {**usual["OPTIONS"], "init_command": _PRAGMAS}
    connection = DatabaseWrapper({**usual, "NAME": str(path), "OPTIONS": options}, BUILD)
    connections[BUILD] = connection
    try:
        yield connection
    finally:
        connection.close()
        del connections[BUILD]


def _make_tables(connection: Any, export: Export) -> None:
    """Run the migrations of the exported models' apps: tables, indexes and triggers are the app's own."""
    executor = MigrationExecutor(connection)
    labels = {model._meta.app_label for model in export.models}
    executor.migrate([node for node in executor.loader.graph.leaf_nodes() if node[0] in labels])
    for model in reversed(export.models):  # the source has the rows of migrations too
        all_rows(model)._raw_delete(BUILD)


def _take_away_indexes(connection: Any, export: Export) -> list[str]:
    """Drop indexes and triggers of the exported tables; return the SQL that makes them again at the end."""
    tables = {model._meta.db_table for model in export.models}
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT type, name, sql, tbl_name FROM sqlite_master WHERE type IN ('index', 'trigger')"
        )
        found = [(kind, name, sql) for kind, name, sql, table in cursor.fetchall() if sql and table in tables]
        cursor.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%fts5%'")
        searched = [quote(name) for (name,) in cursor.fetchall()]
    _run(connection, [f"DROP {kind} {quote(name)}" for kind, name, _ in found])
    return [
        *(sql for kind, _, sql in found if kind == "index"),
        *(f"INSERT INTO {name}({name}) VALUES ('rebuild')" for name in searched),  # noqa: S608 - quoted
        *(sql for kind, _, sql in found if kind == "trigger"),
    ]


def _insert(connection: Any, model: type[models.Model], rows: Iterator[tuple[Any, ...]]) -> None:
    columns, quote = model._meta.concrete_fields, connection.ops.quote_name
    names = ", ".join(quote(field.column) for field in columns)
    folders = ", ".join(["?"] * len(columns))
    statement = f"INSERT INTO {quote(model._meta.db_table)} ({names}) VALUES ({folders})"  # noqa: S608 - quoted
    prepare = [field.get_db_prep_save for field in columns]
    while batch := list(islice(rows, _BATCH)):
        connection.connection.executemany(
            statement,
            [[ready(value, connection) for ready, value in zip(prepare, row, strict=True)] for row in batch],
        )


def _hide(export: Export) -> None:
    """Remove rows that are not public (fixtures hold drafts): children first, as they point to parents."""
    for resource in reversed(export.resources):
        public = resource.rows().using(BUILD).order_by().values("pk")
        hidden = list(all_rows(resource.model).exclude(pk__in=public).values_list("pk", flat=True))
        delete(resource.model, hidden)


def delete(model: type[models.Model], keys: Sequence[Any]) -> None:
    """Delete the rows of these keys from the file that is being built."""
    for start in range(0, len(keys), _BATCH):
        all_rows(model).filter(pk__in=keys[start : start + _BATCH])._raw_delete(BUILD)


def _last_change(export: Export) -> datetime:
    """Return the time of the last change of any row."""
    found = [
        all_rows(each.model).aggregate(last=models.Max(each.changed))["last"] for each in export.resources
    ]
    now = timezone.now()
    return min(max((last for last in found if last is not None), default=now), now)


def all_rows(model: type[models.Model]) -> models.QuerySet[Any]:
    """Return the rows of the file that is being built."""
    return model._base_manager.using(BUILD)


def _run(connection: Any, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
