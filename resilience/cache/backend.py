"""A cache that seems empty while its server is away, and is then neither wrong nor slow.

CACHES = {"default": {
    "BACKEND": "resilience.cache.ResilientCache",
    "LOCATION": "redis://127.0.0.1:6379/0",
    "OPTIONS": {"INNER": "django_redis.cache.RedisCache", "BREAKER": "cache", …the options of INNER},
}}
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from math import isfinite
from typing import Any

from asgiref.sync import sync_to_async
from django.core.cache.backends import redis as djangos_redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from resilience import causes
from resilience.cache import codec
from resilience.cache.calls import Calls
from resilience.cache.redis import bounded_options

log = logging.getLogger("resilience.cache")

_MISSING = object()
# What a read gets if the cache was not asked or did not answer: that is not the same as a missing key.
_AWAY = object()


def _in_a_thread(name: str) -> Any:
    """Return a method for coroutines that calls the one of this name, which blocks, in a thread."""

    async def run(self: BaseCache, *args: Any, **kwargs: Any) -> Any:
        return await sync_to_async(getattr(self, name))(*args, **kwargs)

    return run


class ResilientCache(BaseCache):
    """Guard any of Django's cache backends.

    While its breaker refuses or its server fails, reads find nothing and writes do nothing, at once and
    without an exception: `add`, `touch` and `delete` return False, `set_many` returns all keys as failed,
    `incr` counts from 0. Wrong use still raises. Values go through `codec` with every backend.
    """

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._make_inner, breaker = _inner(location, params)
        self._calls = Calls(breaker)

    @cached_property
    def inner(self) -> BaseCache:
        """The backend that is guarded; to call it directly passes by the breaker."""
        # Made within the first call, so that a backend that cannot be made (without a folder, for example)
        # is a cache that is away.
        return self._make_inner()

    def ping(self, *, write: bool = False) -> None:
        """Ask the server once, or let it store something if `write`, past the breakers; raise its error."""
        if write:
            self._calls.ask(lambda: self.inner.set("resilience-ping", b"1", 60))
        else:
            self._calls.ask(lambda: self.inner.get("resilience-ping"))

    # --- Reads ---

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        value = self._get(key, version)
        return default if value is _MISSING or value is _AWAY else value

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        wanted = {self.make_and_validate_key(key, version): key for key in keys}
        found: dict[str, Any] = self._calls.make("get_many", lambda: self.inner.get_many(list(wanted)), {})
        decoded = {wanted[made]: self._decoded(made, stored) for made, stored in found.items()}
        return {key: value for key, value in decoded.items() if value is not _MISSING}

    def has_key(self, key: Any, version: int | None = None) -> bool:
        made = self.make_and_validate_key(key, version)
        return bool(self._calls.make("has_key", lambda: self.inner.has_key(made), False))

    def _get(self, key: Any, version: int | None) -> Any:
        made = self.make_and_validate_key(key, version)
        stored = self._calls.make("get", lambda: self.inner.get(made, _MISSING), _AWAY)
        return stored if stored is _MISSING or stored is _AWAY else self._decoded(made, stored)

    def _decoded(self, made: str, stored: Any) -> Any:
        try:
            return codec.decode(stored)
        except codec.UndecodableError as error:
            self._calls.note_undecodable(made, error)
            return _MISSING

    # --- Writes ---

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        made, stored = self._entry(key, value, version)
        _check_timeout(timeout)
        self._calls.make("set", lambda: self.inner.set(made, stored, timeout), None)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made, stored = self._entry(key, value, version)
        _check_timeout(timeout)
        return bool(self._calls.make("add", lambda: self.inner.add(made, stored, timeout), False))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made = self.make_and_validate_key(key, version)
        _check_timeout(timeout)
        return bool(self._calls.make("touch", lambda: self.inner.touch(made, timeout), False))

    def delete(self, key: Any, version: int | None = None) -> bool:
        made = self.make_and_validate_key(key, version)
        return bool(self._calls.make("delete", lambda: self.inner.delete(made), False))

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        entries = dict(self._entry(key, value, version) for key, value in data.items())
        _check_timeout(timeout)
        names = dict(zip(entries, data, strict=True))
        failed = self._calls.make(
            "set_many", lambda: self.inner.set_many(entries, timeout) or [], list(entries)
        )
        return [names[made] for made in failed]

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        made = [self.make_and_validate_key(key, version) for key in keys]
        self._calls.make("delete_many", lambda: self.inner.delete_many(made), None)

    def clear(self) -> None:
        self._calls.make("clear", lambda: self.inner.clear(), None)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        made = self.make_and_validate_key(key, version)
        return self._calls.make("incr", lambda: int(self.inner.incr(made, delta)), delta)

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        version = self.version if version is None else version
        value = self._get(key, version)
        if value is _MISSING:
            raise ValueError(f"Key {key!r} not found")
        if value is not _AWAY:
            self.set(key, value, version=version + delta)
            self.delete(key, version=version)
        return version + delta

    def close(self, **kwargs: Any) -> None:
        try:
            self.inner.close(**kwargs)
        except Exception as error:
            log.warning("cache close failed: %s", causes.describe(error))

    def _entry(self, key: Any, value: Any, version: int | None) -> tuple[str, bytes | int]:
        return self.make_and_validate_key(key, version), codec.encode(value, key=str(key))

    # --- From coroutines: Django's own would make several calls, or take "away" for missing ---

    aget_many = _in_a_thread("get_many")
    ahas_key = _in_a_thread("has_key")
    aset_many = _in_a_thread("set_many")
    adelete_many = _in_a_thread("delete_many")
    aincr = _in_a_thread("incr")
    aincr_version = _in_a_thread("incr_version")
    aclose = _in_a_thread("close")


def _inner(location: str, params: dict[str, Any]) -> tuple[Callable[[], BaseCache], str]:
    """Return a function that makes the backend named in `params`, and the name of its breaker."""
    options = dict(params.get("OPTIONS", {}))
    if "INNER" not in options:
        raise ImproperlyConfigured(
            'CACHES: ResilientCache needs OPTIONS["INNER"], the backend that it guards'
        )
    backend = import_string(options.pop("INNER"))
    breaker = options.pop("BREAKER", "cache")
    if issubclass(backend, djangos_redis.RedisCache):
        raise ImproperlyConfigured(
            "CACHES: Django's own Redis backend reads pickles; name django_redis.cache.RedisCache as INNER"
        )
    if backend.__module__.startswith("django_redis."):
        options = bounded_options(options)
    # Keys are made here, so that a change of key_func, key_prefix or version on the cache counts.
    made_here = {"KEY_FUNCTION": _as_it_is, "KEY_PREFIX": "", "VERSION": 1}
    return partial(backend, location, {**params, **made_here, "OPTIONS": options}), breaker


def _check_timeout(timeout: Any) -> None:
    """Raise `TypeError` unless it is a number of seconds: each backend would fail in its own way."""
    if timeout is None or timeout is DEFAULT_TIMEOUT:
        return
    if not isinstance(timeout, int | float) or not isfinite(timeout):
        raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}")


def _as_it_is(key: str, key_prefix: str, version: int) -> str:
    return key
