"""Finds the field of study that a row names, or creates it if asked to."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from django.db.models import Q

from learn.importing.cleaning import Cleaned
from learn.importing.errors import Rejection
from learn.models import Category, Entry, Field
from learn.normalise import normalise
from learn.validators import TITLE_LENGTH


class Parents:
    """The categories and fields that one batch of rows names by slug or title."""

    def __init__(self, rows: Iterable[Cleaned], *, create: bool) -> None:
        names = [(row.category, row.field) for row in rows]
        self._create = create
        self._categories = _Index(Category, {category for category, _ in names if category})
        self._fields = _Index(Field, {field for _, field in names})

    def field_of(self, row: Cleaned) -> Field | Rejection:
        """Return the field of study of a row, or a rejection if there is none, or more than one."""
        category: Category | None = None
        if row.category:
            categories = self._categories.find(row.category)
            if len(categories) > 1:
                return _ambiguous(row, "category", categories)
            category = categories[0] if categories else None
            if category is None and not self._create:
                return Rejection(row.line, "category", f"there is no category '{row.category}'")
        fields = self._fields.find(row.field)
        if row.category:
            inside = [field for field in fields if category and field.category_id == category.pk]
            if not inside and fields and fields[0].slug == _slug(row.field):
                return Rejection(row.line, "field", f"'{row.field}' lies in another category")
            fields = inside
        if len(fields) > 1:
            return _ambiguous(row, "field", fields)
        return fields[0] if fields else self._created(row, category)

    def _created(self, row: Cleaned, category: Category | None) -> Field | Rejection:
        if not self._create:
            where = f" in category '{row.category}'" if row.category else ""
            return Rejection(row.line, "field", f"there is no field '{row.field}'{where}")
        if not row.category:
            reason = f"there is no field '{row.field}', and no category is named to create it in"
            return Rejection(row.line, "field", reason)
        if category is None:
            category = Category(title=row.category)
            category.save()
            self._categories.add(category)
        field = Field(title=row.field, category=category)
        field.save()
        self._fields.add(field)
        return field


class _Index:
    """Entries of one kind by slug and by normalised title."""

    def __init__(self, model: type[Entry], names: set[str]) -> None:
        self._by_slug: dict[str, Any] = {}
        self._by_title: dict[str, list[Any]] = {}
        self._titles = {name: normalise(name)[:TITLE_LENGTH] for name in names}
        slugs = {_slug(name) for name in names}
        wanted = Q(slug__in=slugs) | Q(title_sort__in=set(self._titles.values()))
        for entry in model._default_manager.filter(wanted).order_by("slug"):
            self.add(entry)

    def add(self, entry: Entry) -> None:
        self._by_slug[entry.slug] = entry
        self._by_title.setdefault(entry.title_sort, []).append(entry)

    def find(self, name: str) -> list[Any]:
        """Return the one entry with this slug, else all with this title."""
        by_slug = self._by_slug.get(_slug(name))
        return [by_slug] if by_slug is not None else self._by_title.get(self._titles[name], [])


def _slug(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _ambiguous(row: Cleaned, column: str, entries: list[Any]) -> Rejection:
    slugs = ", ".join(entry.slug for entry in entries[:5])
    return Rejection(row.line, column, f"names more than one: give the slug of one of them ({slugs})")
