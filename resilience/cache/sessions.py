"""Sessions that live in the cache alone: without it nobody knows who asks, which is an outage.

Django's session store takes a cache that finds nothing for a session that has ended: people who are signed in
would see the site as strangers do, and lose their cookies. For a new session it would try ten thousand keys.
So for its keys a cache that is away raises, and the request ends as a 503.
"""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore

from resilience import registry
from resilience.primitives import RejectedError
from resilience.request.scope import note_lost

# What the keys of `django.contrib.sessions.backends.cache` begin with, and those of `cached_db`, which has a
# database behind the cache. A session's own key has no underscore.
_PREFIX = "django.contrib.sessions.cache"
_CACHED_DB = "django.contrib.sessions.cached_db"


class SessionAwayError(RejectedError):
    """A session cannot be read or stored, because the cache that holds it is away."""


def store_in_cache() -> type[SessionStore] | None:
    """Return the class of the project's sessions if they live in the cache alone."""
    try:
        store = import_module(settings.SESSION_ENGINE).SessionStore
    except (ImportError, AttributeError):  # Django raises it where a session is asked for
        return None
    return store if issubclass(store, SessionStore) else None


def _is_a_sessions(key: str) -> bool:
    if key.startswith(_CACHED_DB):
        return False
    own = store_in_cache()
    # Without a prefix a session's key cannot be told from any other.
    return key.startswith(_PREFIX) or bool(
        own and own.cache_key_prefix and key.startswith(own.cache_key_prefix)
    )


def end_request_of(key: Any, breaker: str) -> None:
    """Raise `SessionAwayError` if `key` is a session's; otherwise do nothing.

    Django's store swallows it when it reads. Then the answer is replaced by the 503 at the end.
    """
    if not isinstance(key, str) or not _is_a_sessions(key):
        return
    wait = registry.breaker(breaker).snapshot().retry_after
    error = SessionAwayError(
        breaker, retry_after=wait or 1.0, reason="the cache that holds the sessions is not available"
    )
    note_lost(error)
    raise error
