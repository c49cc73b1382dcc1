"""Memcached behind the cache's guard: bounded waits, and no pickle."""

from typing import Any

from django.core.cache.backends.base import BaseCache
from django.core.exceptions import ImproperlyConfigured

from resilience.cache.inner import Inner, time_out

_BYTES, _NUMBER = 0, 1


class Serde:
    """What pymemcache's values go through: the cache has encoded them, and numbers are the server's to count.

    Its own would unpickle whatever the server calls a pickle.
    """

    def serialize(self, key: Any, value: bytes | int) -> tuple[bytes, int]:
        return (value, _BYTES) if isinstance(value, bytes) else (str(value).encode(), _NUMBER)

    def deserialize(self, key: Any, value: bytes, flags: int) -> bytes | int:
        # What is no number, though it is called one, is given on: `codec` refuses it.
        digits = value.strip().removeprefix(b"-")
        return int(value) if flags == _NUMBER and digits.isdigit() and len(digits) <= 20 else value


def for_memcached(backend: type[BaseCache], options: dict[str, Any], location: Any) -> Inner:
    """Return Django's backend on pymemcache; that on pylibmc is refused, since pylibmc unpickles itself."""
    if any(kind.__name__ == "PyLibMCCache" for kind in backend.__mro__):
        raise ImproperlyConfigured(
            "CACHES: pylibmc unpickles what the server returns; name "
            "django.core.cache.backends.memcached.PyMemcacheCache as INNER"
        )
    if "serde" in options:
        raise ImproperlyConfigured("CACHES: the option serde must be left out inside ResilientCache")
    limit = time_out()
    ours = {"connect_timeout": limit, "timeout": limit, **options, "serde": Serde()}
    return Inner(backend, lambda _: ours)
