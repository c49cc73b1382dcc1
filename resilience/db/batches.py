"""Delete many rows a few at a time."""

from typing import Any

from django.db.models import QuerySet

# The most rows that one statement deletes.
_ROWS = 1_000


def delete_in_batches(old: QuerySet[Any]) -> None:
    """Delete these rows, each batch in a transaction of its own, so that none holds its locks for long."""
    while keys := list(old.values_list("pk", flat=True)[:_ROWS]):
        old.model._base_manager.using(old.db).filter(pk__in=keys).delete()
