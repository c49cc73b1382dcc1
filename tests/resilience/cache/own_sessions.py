"""A session engine of a project's own: Django's in the cache, with another prefix."""

from django.contrib.sessions.backends import cache


class SessionStore(cache.SessionStore):
    cache_key_prefix = "ours:"
