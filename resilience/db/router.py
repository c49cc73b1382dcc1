"""The router of databases: reads go to the static copy while the static tier answers, else to the primary.

An open breaker changes nothing here. The engine refuses then, and the next tier answers, with a label that
says so. A router that read the copy by itself would pass off old rows as new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from resilience.conf.databases import STATIC_ALIAS
from resilience.primitives import TierUnavailableError

# Within the static tier, the models whose rows the static copy holds; None outside it.
_held: ContextVar[frozenset[type[Any]] | None] = ContextVar("resilience_static_tier", default=None)


@contextmanager
def static_tier(models: Iterable[type[Any]]) -> Iterator[None]:
    """Read from the static copy within the block. It holds the rows of these models."""
    token = _held.set(frozenset(models))
    try:
        yield
    finally:
        _held.reset(token)


class TierRouter:
    """Send reads in the static tier to the static copy, and each write to the primary.

    All else is left to the project's other routers, or to Django. In the static tier, reading a model that
    the copy does not hold (an account, a session) raises `TierUnavailableError`: its table is missing or
    empty there, which would look as if the row did not exist.
    """

    def db_for_read(self, model: type[Any], **hints: Any) -> str | None:
        if (held := _held.get()) is not None and model._meta.concrete_model not in held:
            raise TierUnavailableError(f"the static copy holds no {model._meta.verbose_name_plural}")
        return STATIC_ALIAS if held is not None or _origin(hints) == STATIC_ALIAS else None

    def db_for_write(self, model: type[Any], **hints: Any) -> str | None:
        # Django would write to the database from which the row was read.
        if _held.get() is not None or _origin(hints) == STATIC_ALIAS:
            return DEFAULT_DB_ALIAS
        return None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if db == STATIC_ALIAS else None


def _origin(hints: dict[str, Any]) -> str | None:
    state = getattr(hints.get("instance"), "_state", None)
    return getattr(state, "db", None)
