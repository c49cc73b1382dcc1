"""Find out whether a cache of the settings could work, without asking its server: for `manage.py check`."""

from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured

from resilience.cache.backend import ResilientCache


def wrong_with(alias: str) -> str | None:
    """Say why the guarded cache `alias` can never work; None if nothing is wrong with its settings."""
    try:
        cache = caches.create_connection(alias)
        if not isinstance(cache, ResilientCache):
            return None
        # django-redis makes its client later, and only then looks for its compressor.
        _ = getattr(cache.inner, "client", None)
    except (ImproperlyConfigured, ImportError) as error:
        return str(error)
    except Exception as error:  # of any kind; only its class is shown, since its text may hold secrets
        return f"its backend cannot be made ({type(error).__name__})"
    declared: dict[str, Any] = settings.CACHES[alias]
    if not _is_on_redis(cache):
        return None
    from resilience.cache.redis.address import wrong_in  # only a cache on Redis needs redis-py

    options = declared["OPTIONS"]
    location = declared.get("LOCATION", "")
    addresses = location.split(",") if isinstance(location, str) else location
    given = options.get("CONNECTION_POOL_KWARGS", {})
    sentinel = bool(options.get("SENTINELS"))
    pool = options.get("CONNECTION_POOL_CLASS")
    return next(
        (wrong for url in addresses if (wrong := wrong_in(str(url), given, pool=pool, sentinel=sentinel))),
        None,
    )


def _is_on_redis(cache: ResilientCache) -> bool:
    return any(kind.__module__ == "django_redis.cache" for kind in type(cache.inner).__mro__)
