"""The plain app with Django's per-site cache on django-redis, with tight time-outs.

It answers 304 as well; the tag is stored with the answer, since the middleware that makes it stands inside.
"""

from benchmarks.sites.plain import *  # noqa: F403
from benchmarks.sites.plain import MIDDLEWARE, REDIS_URL

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.25, "SOCKET_TIMEOUT": 0.25, "IGNORE_EXCEPTIONS": True},
    }
}
CACHE_MIDDLEWARE_SECONDS = 600
MIDDLEWARE = [
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    *MIDDLEWARE,
    "django.middleware.cache.FetchFromCacheMiddleware",
]
