"""Find out whether a cache of the settings could work, without asking its server: for `manage.py check`."""

from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured

from resilience.cache.address import wrong_in
from resilience.cache.backend import ResilientCache


def wrong_with(alias: str) -> str | None:
    """Say why the guarded cache `alias` can never work; None if nothing is wrong with its settings."""
    try:
        cache = caches.create_connection(alias)
        if not isinstance(cache, ResilientCache):
            return None
        _ = cache.inner
    except (ImproperlyConfigured, ImportError) as error:
        return str(error)
    except Exception as error:  # of any kind; only its class is shown, since its text may hold secrets
        return f"its backend cannot be made ({type(error).__name__})"
    declared: dict[str, Any] = settings.CACHES[alias]
    if not str(declared["OPTIONS"]["INNER"]).startswith("django_redis."):
        return None
    location = declared.get("LOCATION", "")
    addresses = location.split(",") if isinstance(location, str) else location
    options = declared["OPTIONS"].get("CONNECTION_POOL_KWARGS", {})
    return next((wrong for url in addresses if (wrong := wrong_in(str(url), options))), None)
