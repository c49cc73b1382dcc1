"""Turn the address of a database into Django's settings."""

from typing import Any

import environ

from zenow.settings.addresses import read_address

_SCHEMES = ("postgres", "postgresql", "sqlite")


def database_settings(url: str) -> dict[str, Any]:
    """Return Django's settings for the database at this address, with a guarded engine."""
    database: dict[str, Any] = read_address("DATABASE_URL", url, _SCHEMES, environ.Env.db_url_config)
    database |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    database["ENGINE"] = database["ENGINE"].replace("django.db.backends", "resilience.db")
    if database["ENGINE"] == "resilience.db.sqlite3":
        database["OPTIONS"] = {
            "timeout": 1.5,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
        }
    return database
