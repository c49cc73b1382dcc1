"""Which database answers: the primary, or the static copy while its tier serves.

An open breaker changes nothing here: the engine refuses then, and the tier chain, which labels its answers,
goes on to the next tier. A router that turned to the file by itself would pass old rows off as new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from resilience.conf.databases import STATIC_ALIAS
from resilience.primitives import TierUnavailableError

# The models whose rows the static copy holds, within its tier; None outside it.
_held: ContextVar[frozenset[type[Any]] | None] = ContextVar("resilience_static_tier", default=None)


@contextmanager
def static_tier(models: Iterable[type[Any]]) -> Iterator[None]:
    """Read from the static copy within the block; it holds the rows of these models."""
    token = _held.set(frozenset(models))
    try:
        yield
    finally:
        _held.reset(token)


class TierRouter:
    """Decide by context and by origin; leave every other question to the routers behind, or to Django.

    In the static tier a read of what the file does not hold (an account, a session) raises
    `TierUnavailableError`: its table is missing there, or empty, and neither means that there is no such row.
    """

    def db_for_read(self, model: type[Any], **hints: Any) -> str | None:
        if (held := _held.get()) is not None and model._meta.concrete_model not in held:
            raise TierUnavailableError(f"the static copy holds no {model._meta.verbose_name_plural}")
        return STATIC_ALIAS if held is not None or _origin(hints) == STATIC_ALIAS else None

    def db_for_write(self, model: type[Any], **hints: Any) -> str | None:
        # Django would write the relations of a row back to where the row came from.
        if _held.get() is not None or _origin(hints) == STATIC_ALIAS:
            return DEFAULT_DB_ALIAS
        return None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if db == STATIC_ALIAS else None


def _origin(hints: dict[str, Any]) -> str | None:
    state = getattr(hints.get("instance"), "_state", None)
    return getattr(state, "db", None)
