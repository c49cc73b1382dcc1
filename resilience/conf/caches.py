"""Which caches of the settings are guarded, and which have no server that could be away."""

from __future__ import annotations

from django.conf import settings

GUARDED_CACHES = ("resilience.cache.ResilientCache", "resilience.cache.backend.ResilientCache")
# These live in the process itself.
WITHOUT_SERVER = (
    "django.core.cache.backends.locmem.LocMemCache",
    "django.core.cache.backends.dummy.DummyCache",
)
# Backends whose client is redis-py begin so.
ON_REDIS = ("django_redis.", "django.core.cache.backends.redis.")


def is_any_guarded() -> bool:
    """Tell whether a cache of the project is guarded, so that there is a breaker of caches."""
    return any(cache.get("BACKEND") in GUARDED_CACHES for cache in settings.CACHES.values())
