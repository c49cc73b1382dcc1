"""Guarded caches for tests."""

from typing import Any

from resilience.cache import ResilientCache
from tests.servers import RedisServer


def in_memory(name: str = "tests", **options: Any) -> ResilientCache:
    options |= {"INNER": "django.core.cache.backends.locmem.LocMemCache"}
    return ResilientCache(name, {"OPTIONS": options})


def on_redis(server: RedisServer, **options: Any) -> ResilientCache:
    return ResilientCache(server.url, {"OPTIONS": {"INNER": "django_redis.cache.RedisCache", **options}})
