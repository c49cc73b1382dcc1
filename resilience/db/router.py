"""Stop 4: which database answers: the primary, or the static file while its tier serves.

An open breaker changes nothing here: the engine refuses then, and the tier chain, which labels its answers,
goes on to the next tier. A router that turned to the file by itself would pass old rows off as new ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import DEFAULT_DB_ALIAS

STATIC = "static"

_in_static_tier: ContextVar[bool] = ContextVar("resilience_static_tier", default=False)


@contextmanager
def static_tier() -> Iterator[None]:
    """Read from the static file within the block."""
    token = _in_static_tier.set(True)
    try:
        yield
    finally:
        _in_static_tier.reset(token)


class TierRouter:
    """Decide by context and by origin; leave every other question to the routers behind, or to Django."""

    def db_for_read(self, model: type[Any], **hints: Any) -> str | None:
        if _in_static_tier.get() or _origin(hints) == STATIC:
            return STATIC
        return None

    def db_for_write(self, model: type[Any], **hints: Any) -> str | None:
        # Django would write the relations of a row back to where the row came from.
        if _in_static_tier.get() or _origin(hints) == STATIC:
            return DEFAULT_DB_ALIAS
        return None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if db == STATIC else None


def _origin(hints: dict[str, Any]) -> str | None:
    state = getattr(hints.get("instance"), "_state", None)
    return getattr(state, "db", None)
