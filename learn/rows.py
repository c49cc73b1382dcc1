"""The query sets of the catalogue: which rows are public, and bulk writes that raise its version."""

from collections.abc import Iterable
from typing import Any, Self

from django.db import models, transaction
from django.utils import timezone

from resilience.tiers.catalogue_version import raise_version

# Columns that decide whether a row is public.
_DECISIVE = frozenset({"published", "field", "field_id", "category", "category_id"})


class EntryQuerySet(models.QuerySet[Any]):
    """Rows of the catalogue."""

    def public(self) -> Self:
        """Keep rows that everybody may see: published ones; a child overrides this to check its parents."""
        return self.filter(published=True)

    def publish(self) -> int:
        """Publish all rows and return how many were drafts."""
        return self._set_published(True)

    def unpublish(self) -> int:
        """Turn all rows into drafts and return how many were published."""
        return self._set_published(False)

    def update(self, **columns: Any) -> int:
        """Change all rows in one statement, and raise the catalogue version."""
        with transaction.atomic(using=self.db):
            changed = super().update(**columns)
            if changed:
                hides = columns.get("published") is not True and not _DECISIVE.isdisjoint(columns)
                raise_version(removal=hides, using=self.db)
        return changed

    def bulk_create(self, objs: Iterable[Any], *args: Any, **options: Any) -> list[Any]:
        """Store new rows, or new values of old ones, in one statement, and raise the catalogue version."""
        entries = list(objs)
        with transaction.atomic(using=self.db):
            stored = super().bulk_create(entries, *args, **options)
            if entries:
                replaces = bool(options.get("update_conflicts"))
                hides = replaces and not all(entry.published for entry in entries)
                raise_version(removal=hides, using=self.db)
        return stored

    def _set_published(self, published: bool) -> int:
        return self.filter(published=not published).update(
            published=published, revision=models.F("revision") + 1, updated=timezone.now()
        )
