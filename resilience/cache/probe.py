"""Ask the cache server once, past its breakers: the steward's pings and probes."""

from django.core.cache import caches

from resilience.cache.backend import ResilientCache


def ping(alias: str = "default") -> None:
    """Ask once, within the client's own time-outs and the current deadline. Raises the client's error."""
    _guarded(alias).ping()


def write(alias: str = "default") -> None:
    """Let the server store something, within the same limits. Raises the client's error."""
    _guarded(alias).ping(write=True)


def _guarded(alias: str) -> ResilientCache:
    cache = caches[alias]
    if not isinstance(cache, ResilientCache):
        raise TypeError(f"CACHES[{alias!r}] is not a ResilientCache, so it has no breaker to ping for")
    return cache
