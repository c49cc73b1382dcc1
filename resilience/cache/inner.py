"""The backend behind the guard: found by its name, and given options with which it can be guarded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.core.cache.backends.base import BaseCache
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from resilience import conf
from resilience.cache import failures

if TYPE_CHECKING:
    from resilience.cache.calls import Calls

# What knows the options of a backend, by the module of the backend or of a class that it derives from.
_KNOWN = {
    "django_redis.cache": "resilience.cache.redis.options.for_django_redis",
    "django.core.cache.backends.redis": "resilience.cache.redis.options.for_djangos_own",
    "django.core.cache.backends.memcached": "resilience.cache.memcached.for_memcached",
}


# Seconds in shadow, in which nothing is cut.
_NO_LIMIT = 3600.0


def time_out() -> float:
    """Return the seconds that connecting to a cache may take, and each wait for an answer."""
    return _NO_LIMIT if conf.shadow() else conf.deadline("cache")


def ask(backend: BaseCache) -> None:
    """Ask the server once."""
    backend.get("resilience-ping")


@dataclass(frozen=True, slots=True)
class Inner:
    """The class of the backend, the options for it, and what is particular about it."""

    backend: type[BaseCache]
    options: Callable[[Calls], dict[str, Any]]
    """Makes the options for the backend, for the calls of this cache."""
    codes: bool = False
    """Its own client encodes and decodes values, by `resilience.cache.redis.serializer`."""
    guards: bool = False
    """Its own client guards each command that it sends, by `Calls.each`."""
    lock: Callable[..., Any] | None = None
    """Makes a lock whose making may meet an outage: of the calls, what makes it, its key, and `blocking`."""
    ping: Callable[[BaseCache], None] = ask
    """Finds out whether the server works. Raises its error."""
    drilled: failures.Drilled = (ConnectionError, TimeoutError)
    """What its client raises for a server that refuses, and for one that is silent."""


def found(options: Mapping[str, Any], location: Any) -> Inner:
    """Return the backend that `OPTIONS["INNER"]` names, with the other options.

    Raises ImproperlyConfigured, with its name, for an option that cannot be used behind the guard.
    """
    rest = dict(options)
    if "INNER" not in rest:
        raise ImproperlyConfigured(
            'CACHES: ResilientCache needs OPTIONS["INNER"], the backend that it guards'
        )
    backend = import_string(rest.pop("INNER"))
    for kind in backend.__mro__:
        if path := _KNOWN.get(kind.__module__):
            module, _, name = path.rpartition(".")
            made: Inner = getattr(import_module(module), name)(backend, rest, location)
            return made
    return Inner(backend, lambda _: rest)
