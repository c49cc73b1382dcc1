"""Writes the catalogue to files from which `loaddata` and `import_catalogue` restore it exactly."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from django.core.serializers.json import DjangoJSONEncoder, Serializer

from learn.files import replaced
from learn.importing.layout import COLUMNS, EXPORTED_ONLY
from learn.importing.terms import joined
from learn.models import Category, Course, Entry, Field
from resilience.tiers.static_copy.sources import snapshot

_CHUNK = 500
# What a spreadsheet takes a cell for a formula by.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# prepare() fills these columns again.
_DERIVED = frozenset({"title_sort", "search_text", "level_key"})


class _Encoder(DjangoJSONEncoder):
    """Keep the microseconds that Django's encoder cuts off."""

    def default(self, o: Any) -> Any:
        return o.isoformat() if isinstance(o, datetime) else super().default(o)


class _Records(Serializer):
    """Write an identity only of a course that was set apart: nobody could tell that from its text."""

    def get_dump_object(self, obj: Any) -> Any:
        record = super().get_dump_object(obj)
        if "-" not in record["fields"].get("identity", "-"):
            del record["fields"]["identity"]
        return record


def export(directory: Path) -> dict[str, int]:
    """Write the whole catalogue, drafts too, ordered by slug; return the number of rows in each file.

    `categories.json`, `fields.json` and `courses.json` are for `loaddata`, in this order. `courses.csv` has
    the columns of `import_catalogue`, which reads `courses.json`, too. No file takes its place before all are
    complete. Rows are read a few at a time from one snapshot, and writers go on meanwhile.
    Raises OSError if the directory cannot be made or written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written: dict[str, int] = {}
    with ExitStack() as files, snapshot():
        for name, model in (("categories", Category), ("fields", Field), ("courses", Course)):
            _write_records(files.enter_context(replaced(directory / f"{name}.json")), model)
            written[f"{name}.json"] = model._default_manager.count()
        _write_table(files.enter_context(replaced(directory / "courses.csv")))
        written["courses.csv"] = written["courses.json"]
    return written


def formulas_in(table: Path) -> int:
    """Return how many cells of an exported table a spreadsheet would run as formulas.

    They are not escaped: `import_catalogue` would bring them back changed.
    """
    with table.open(encoding="utf-8", newline="") as file:
        return sum(cell.startswith(_FORMULA) for row in csv.reader(file) for cell in row)


def _write_records(file: IO[str], model: type[Entry]) -> None:
    names = [field.name for field in model._meta.concrete_fields if field.name not in {"id", *_DERIVED}]
    _Records().serialize(
        _rows(model),
        stream=file,
        fields=names,
        use_natural_foreign_keys=True,
        use_natural_primary_keys=True,
        indent=1,
        cls=_Encoder,
    )


def _rows(model: type[Entry]) -> Iterator[Any]:
    """Yield the rows with their parents."""
    return iter(model._default_manager.select_related().order_by("slug").iterator(chunk_size=_CHUNK))


def _write_table(file: IO[str]) -> None:
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow((*COLUMNS, *EXPORTED_ONLY))
    for course in _rows(Course):
        values = {name: getattr(course, name) for name in (*COLUMNS[2:], *EXPORTED_ONLY)}
        values |= {"terms": joined(course.terms), "published": str(course.published).lower()}
        writer.writerow((course.field.category.slug, course.field.slug, *values.values()))
