"""Which breaker guards which database: one for each endpoint, named after its first alias."""

from __future__ import annotations

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

BREAKER = "database"
ENGINES = ("resilience.db.postgresql", "resilience.db.sqlite3")
STATIC_ALIAS = "static"  # the static copy: Django's own SQLite engine, since there is nothing to wait for


def endpoint(alias: str) -> str:
    """Return host, port and name of a database; aliases of one endpoint share a breaker."""
    database = settings.DATABASES.get(alias, {})
    return f"{database.get('HOST', '')}:{database.get('PORT', '')}/{database.get('NAME', '')}"


def breakers() -> dict[str, str]:
    """Return the alias that the steward asks for each database breaker, by the breaker's name.

    The default alias has the breaker `database`. Another guarded alias has `database:ALIAS`, unless an alias
    before it has the same endpoint: then both share that one's breaker.
    """
    found = {BREAKER: DEFAULT_DB_ALIAS}
    if len(settings.DATABASES) > 1:
        taken = {endpoint(DEFAULT_DB_ALIAS)}
        for alias, database in settings.DATABASES.items():
            if database.get("ENGINE") in ENGINES and endpoint(alias) not in taken:
                taken.add(endpoint(alias))
                found[f"{BREAKER}:{alias}"] = alias
    return found


def breaker_of(alias: str) -> str:
    """Return the name of the breaker that guards an alias."""
    asked = endpoint(alias)
    if alias == DEFAULT_DB_ALIAS or alias not in settings.DATABASES:
        return BREAKER
    return next((name for name, first in breakers().items() if endpoint(first) == asked), BREAKER)
