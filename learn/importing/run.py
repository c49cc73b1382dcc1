"""Imports a file: reads rows, cleans them, finds their fields of study, stores and reports them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from django.db import IntegrityError, reset_queries, transaction

from learn.folding import identity_of
from learn.importing import delimited, objects
from learn.importing.cleaning import Cleaned, cleaned
from learn.importing.errors import Rejection, UnreadableError
from learn.importing.keys import SeenKeys
from learn.importing.layout import Layout, Row
from learn.importing.parents import Parents
from learn.importing.report import Report
from learn.importing.source import opened
from learn.importing.storing import Wanted, store

BATCH = 500
"""The most rows in one transaction, and in memory."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a file is imported.

    `format` is csv or json; with None the first character decides. `encoding` is one that Python knows; with
    None the file decides. `rows` is where in a JSON file the list of rows lies, names joined by dots.
    """

    format: str | None = None
    encoding: str | None = None
    rows: str = ""
    create_parents: bool = False
    dry_run: bool = False
    strict: bool = False


def import_file(
    path: Path,
    layout: Layout,
    options: Options,
    report: Report,
    progress: Callable[[int, int], object],
) -> None:
    """Import a file in batches of BATCH rows, each in a transaction of its own.

    With `dry_run` or `strict` a single transaction holds everything; it is rolled back after a dry run, or if
    a row was rejected. `progress` is called with the bytes read so far and the size of the file.
    Raises UnreadableError if the file cannot be read or a required column is missing. Batches that were
    stored before stay, and the report counts them.
    """
    with opened(path, options.encoding) as source, closing(SeenKeys()) as seen:
        if source.encoding.guessed:
            report.encoding = source.encoding.name
        if options.format == "json" or (options.format is None and source.looks_like_json):
            rows = objects.rows(source.text, layout, options.rows)
        elif options.rows:
            raise UnreadableError("--rows names a list in a JSON file, and this is none.")
        else:
            rows = delimited.rows(source.text, layout, report.ignored_columns)

        def import_all() -> None:
            for batch in _batches(rows, layout, strict=options.strict):
                _import_batch(batch, options, seen, report)
                report.stored = not at_once
                reset_queries()  # with DEBUG on, Django remembers each statement
                progress(source.raw.tell(), source.size)

        at_once = options.dry_run or options.strict
        if not at_once:
            import_all()
            return
        with transaction.atomic():
            import_all()
            keep = not options.dry_run and not report.rejected
            transaction.set_rollback(not keep)
        report.stored = keep


def _batches(
    rows: Iterable[Row | Rejection], layout: Layout, *, strict: bool
) -> Iterator[list[Cleaned | Rejection]]:
    """Yield batches of cleaned rows. Each is cleaned when read, so an over-long value is dropped at once."""
    checked = (cleaned(row, layout, strict=strict) if isinstance(row, Row) else row for row in rows)
    while batch := list(islice(checked, BATCH)):
        yield batch


def _import_batch(batch: list[Cleaned | Rejection], options: Options, seen: SeenKeys, report: Report) -> None:
    rejections = [row for row in batch if isinstance(row, Rejection)]
    rows = [row for row in batch if isinstance(row, Cleaned)]
    wanted: list[Wanted] = []
    for row, place in zip(rows, _places(rows, create=options.create_parents), strict=True):
        found = place if isinstance(place, Rejection) else _claimed(row, place, seen)
        if isinstance(found, Rejection):
            rejections.append(found)
        else:
            wanted.append(found)
    if wanted:
        outcome, refused = store(wanted)
        report.outcome += outcome
        rejections.extend(refused)
    without = {rejection.line for rejection in rejections}
    rejections += (each for row in rows if row.line not in without for each in row.unread)
    report.reject(sorted(rejections))


def _places(rows: list[Cleaned], *, create: bool) -> list[int | Rejection]:
    """Return for each row the key of its field of study, or a rejection."""

    def look() -> list[int | Rejection]:
        with transaction.atomic():
            parents = Parents(rows, create=create)
            found = map(parents.field_of, rows)
            return [field if isinstance(field, Rejection) else field.pk for field in found]

    try:
        return look()
    except IntegrityError:
        return look()  # another client has created one of them meanwhile


def _claimed(row: Cleaned, field_id: int, seen: SeenKeys) -> Wanted | Rejection:
    values = row.values | {"field_id": field_id}
    code = values.get("code")
    identity = identity_of(
        field_id=field_id, title=values["title"], provider=values.get("provider"), code=code
    )
    first = seen.claim(identity, row.line)
    if first is None:
        return Wanted(row.line, identity, values)
    key = "provider and code" if code else "field and title"
    return Rejection(row.line, "code" if code else "title", f"has the {key} of line {first}, which counts")
