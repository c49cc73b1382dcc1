"""What `manage.py check --database default` says of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from learn.models import Course
from learn.refolding import twins

# The most pairs that are listed.
_LISTED = 20


@register(Tags.database)
def courses_set_apart(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Warn of courses that an elder one equals as titles and codes are folded now."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    try:
        if Course._meta.db_table not in connections[DEFAULT_DB_ALIAS].introspection.table_names():
            return []  # before the first migration
        pairs = twins(Course, DEFAULT_DB_ALIAS, _LISTED)
    except DatabaseError:
        return []  # `resilience.E053` says that the database cannot be asked
    if not pairs:
        return []
    hint = "Delete one of each, or change its title or code. Imports know the elder one."
    listed = "; ".join(map(str, pairs))
    return [Warning(f"Courses are there twice: {listed}.", hint=hint, id="learn.W001")]
