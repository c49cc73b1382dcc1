"""The settings of django-redis' own suite, with each cache behind the guard, in the place of its first ones.

`SUITE_REDIS` is the port of the server.
"""

import os
import re
from importlib import import_module
from typing import Any

_theirs = import_module("settings.theirs")


def _here(location: Any) -> Any:
    if isinstance(location, str):
        return re.sub(r"(?<=127\.0\.0\.1:)6379(?!\d)", os.environ["SUITE_REDIS"], location)
    return [_here(one) for one in location]


def _guarded(cache: dict[str, Any]) -> dict[str, Any]:
    return {
        **cache,
        "BACKEND": "resilience.cache.ResilientCache",
        "LOCATION": _here(cache["LOCATION"]),
        "OPTIONS": {"INNER": cache["BACKEND"], **cache["OPTIONS"]},
    }


SECRET_KEY = _theirs.SECRET_KEY
CACHES = {alias: _guarded(cache) for alias, cache in _theirs.CACHES.items()}
INSTALLED_APPS = [*_theirs.INSTALLED_APPS, "resilience"]
USE_TZ = False

# The errors that the suite provokes must not open the breaker.
RESILIENCE = {
    "NAMESPACE": "django-redis-suite",
    "BREAKERS": {"cache": {"failure_threshold": 1000, "recovery_timeout": 1.0}},
}
