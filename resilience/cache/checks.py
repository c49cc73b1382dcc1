"""System checks: what a project keeps in its caches, and whether they can hold it."""

from collections.abc import Iterator
from types import CellType, FunctionType
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.middleware.cache import CacheMiddleware, FetchFromCacheMiddleware, UpdateCacheMiddleware
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.module_loading import import_string

from resilience.cache.sessions import store_in_cache
from resilience.conf.caches import GUARDED_CACHES

_JSON_SESSIONS = "django.contrib.sessions.serializers.JSONSerializer"
# Functions that are looked into for one view.
_MOST_WRAPPERS = 100
_SIGNED = (
    'Set OPTIONS["VALUES"] of this cache to "signed": its values are then pickles, which are read only if '
    "this site has signed them."
)


def check_what_is_cached(**_: Any) -> Iterator[CheckMessage]:
    """E023: pages and sessions that only a pickle can hold are in a cache that holds such values."""
    wanted = dict.fromkeys(_aliases_of_pages(), "whole pages, which are responses")
    if store_in_cache() and settings.SESSION_SERIALIZER != _JSON_SESSIONS:
        wanted.setdefault(
            settings.SESSION_CACHE_ALIAS,
            f"sessions of more than JSON (SESSION_SERIALIZER is {settings.SESSION_SERIALIZER})",
        )
    for alias, what in sorted(wanted.items()):
        cache = settings.CACHES.get(alias, {})
        if (
            cache.get("BACKEND") in GUARDED_CACHES
            and cache.get("OPTIONS", {}).get("VALUES", "json") != "signed"
        ):
            yield Error(
                f"CACHES['{alias}'] is to hold {what}, and can hold nothing but what JSON can.",
                hint=_SIGNED,
                id="resilience.E023",
            )


def check_sessions(**_: Any) -> Iterator[CheckMessage]:
    """W024: sessions are not in the cache alone."""
    if store_in_cache() and "django.contrib.sessions" in settings.INSTALLED_APPS:
        yield Warning(
            "Sessions live in the cache alone: while it is away, each request with a session is a 503, and "
            "when it has lost its data everybody is signed out.",
            hint='Set SESSION_ENGINE to "django.contrib.sessions.backends.cached_db".',
            id="resilience.W024",
        )


def _aliases_of_pages() -> set[str]:
    """Return the caches that Django's middleware or `cache_page` keeps responses in."""
    kinds = (CacheMiddleware, FetchFromCacheMiddleware, UpdateCacheMiddleware)
    found = {
        settings.CACHE_MIDDLEWARE_ALIAS
        for path in settings.MIDDLEWARE
        if path.startswith("django.middleware.cache.") and import_string(path) in kinds
    }
    return found | set(_aliases_of_views(get_resolver().url_patterns))


def _aliases_of_views(patterns: list[Any]) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _aliases_of_views(pattern.url_patterns)
        elif isinstance(pattern, URLPattern):
            yield from _aliases_of_view(pattern.callback)


def _aliases_of_view(view: Any) -> Iterator[str]:
    """Yield the caches that `cache_page` has wrapped a view in, as a function or as a method's decorator.

    Django keeps no list of them. They are found in the closures of the wrappers.
    """
    waiting = [view, getattr(getattr(view, "view_class", None), "dispatch", None)]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_WRAPPERS:
        function = waiting.pop()
        if not isinstance(function, FunctionType) or id(function) in seen:
            continue
        seen.add(id(function))
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
        kept = {name: cell.cell_contents for name, cell in cells if not _is_empty(cell)}
        for one in kept.values():
            if isinstance(one, CacheMiddleware):
                yield one.cache_alias
            elif one is CacheMiddleware:
                yield kept.get("m_kwargs", {}).get("cache_alias") or settings.CACHE_MIDDLEWARE_ALIAS
            waiting += one if isinstance(one, list | tuple) else [one]
        waiting.append(getattr(function, "__wrapped__", None))


def _is_empty(cell: CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return True
    return False
