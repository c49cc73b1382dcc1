"""Ask the cache server once, past its breaker: the steward's ping and probe."""

from django.core.cache import caches

from resilience.cache.backend import ResilientCache


def ping(alias: str = "default") -> None:
    """Ask within the client's own time-outs and the current deadline; raise the client's error."""
    cache = caches[alias]
    if not isinstance(cache, ResilientCache):
        raise TypeError(f"CACHES[{alias!r}] is no ResilientCache, so there is nothing to guard")
    cache.ping()
