"""A cache that seems empty while its server is away, and is then neither wrong nor slow.

CACHES = {"default": {
    "BACKEND": "resilience.cache.ResilientCache",
    "LOCATION": "redis://127.0.0.1:6379/0",
    "OPTIONS": {"INNER": "django_redis.cache.RedisCache", …the options of INNER},
}}
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from math import isfinite
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.exceptions import ImproperlyConfigured

from resilience import causes
from resilience.cache import extras, inner, sessions
from resilience.cache.calls import Calls
from resilience.cache.codec import Stored, UndecodableError
from resilience.cache.values import VALUES

T = TypeVar("T")
log = logging.getLogger("resilience.cache")

_MISSING = object()
# What a call gets if the cache was not asked or did not answer: that is not the same as a missing key.
_AWAY: Any = object()
# Attributes of a cache that the backend has, too: by them it makes its keys.
_SHARED = ("key_func", "key_prefix", "version", "default_timeout")


def _in_a_thread(name: str) -> Any:
    """Return a method for coroutines that calls the one of this name, which blocks, in a thread."""

    async def run(self: BaseCache, *args: Any, **kwargs: Any) -> Any:
        return await sync_to_async(getattr(self, name))(*args, **kwargs)

    return run


class ResilientCache(BaseCache):
    """Guard any of Django's cache backends.

    While its breaker refuses or its server fails, reads find nothing and writes do nothing, at once and
    without an exception: `add`, `touch` and `delete` return False, `set_many` returns all keys as failed,
    `incr` counts from 0. Wrong use still raises. Values are stored as `OPTIONS["VALUES"]` says (`values`).

    Whatever else the backend can do (`lock`, `ttl`, `delete_pattern`, `hset`…) is here, too, and guarded: see
    `extras`. `further` arguments of a method are the backend's own, such as `nx` of django-redis' `set`.
    """

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        super().__init__(params)
        options = dict(params.get("OPTIONS", {}))
        breaker, values = options.pop("BREAKER", "cache"), options.pop("VALUES", "json")
        if values not in VALUES:
            raise ImproperlyConfigured(
                f'CACHES: OPTIONS["VALUES"] must be one of {", ".join(VALUES)}, not {values!r}'
            )
        self._values = VALUES[values]
        self._inner = inner.found(options, location)
        self._calls = Calls(breaker, self._inner.drilled)
        self._stored = Stored if self._inner.codes else bytes
        # What its client has decoded is the value, unless it has to be signed.
        self._decoded_below = self._inner.codes and values == "json"
        made = {**params, "OPTIONS": self._inner.options(self._calls)}
        backend: Callable[..., BaseCache] = self._inner.backend
        self._make_inner = partial(backend, location, made)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in _SHARED and "inner" in self.__dict__:
            setattr(self.inner, name, value)

    def __getattr__(self, name: str) -> Any:
        """Return what the backend has and Django's caches do not: its methods are guarded."""
        # `inner` comes here if the backend cannot be made for lack of an attribute.
        if name.startswith("_") or name == "inner":
            raise AttributeError(name)
        return extras.attribute(self, self._inner, self._calls, name)

    @cached_property
    def inner(self) -> BaseCache:
        """The backend that is guarded; to call it directly passes by the breaker."""
        # Made within the first call, so that a backend that cannot be made (without a folder, for example)
        # is a cache that is away.
        made = self._make_inner()
        for name in _SHARED:
            setattr(made, name, getattr(self, name))
        return made

    def ping(self, *, write: bool = False) -> None:
        """Ask the server once, or let it store something if `write`, past the breakers; raise its error."""
        if write:
            self._calls.ask(lambda: self.inner.set("resilience-ping", self._stored(b"1"), 60))
        else:
            self._calls.ask(lambda: self._inner.ping(self.inner))

    # --- Reads ---

    def get(self, key: Any, default: Any = None, version: int | None = None, **further: Any) -> Any:
        value = self._get(key, version, further)
        return default if value is _MISSING or value is _AWAY else value

    def get_many(self, keys: Iterable[Any], version: int | None = None, **further: Any) -> dict[Any, Any]:
        wanted = {key: self._made(key, version) for key in keys}
        found: dict[Any, Any] = self._calls.make(
            "get_many", lambda: self.inner.get_many(list(wanted), version=version, **further), {}
        )
        decoded = {key: self._decoded(wanted[key], stored) for key, stored in found.items()}
        return {key: value for key, value in decoded.items() if value is not _MISSING}

    def has_key(self, key: Any, version: int | None = None, **further: Any) -> bool:
        self._made(key, version)
        return bool(
            self._one("has_key", key, lambda: self.inner.has_key(key, version=version, **further), False)
        )

    def _get(self, key: Any, version: int | None, further: Mapping[str, Any]) -> Any:
        made = self._made(key, version)
        stored = self._one("get", key, lambda: self.inner.get(key, _MISSING, version, **further), _AWAY)
        return stored if stored is _MISSING or stored is _AWAY else self._decoded(made, stored)

    def _decoded(self, made: str, stored: Any) -> Any:
        if self._decoded_below and type(stored) is not Stored:
            return stored
        try:
            return self._values.decode(stored, made=made)
        except UndecodableError as error:
            self._calls.note_undecodable(error)
            return _MISSING

    # --- Writes ---

    def set(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        **further: Any,
    ) -> Any:
        stored = self._entry(key, value, timeout, version)
        otherwise = False if further else None
        return self._one(
            "set", key, lambda: self.inner.set(key, stored, timeout, version, **further), otherwise
        )

    def add(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        **further: Any,
    ) -> bool:
        stored = self._entry(key, value, timeout, version)
        return bool(
            self._one("add", key, lambda: self.inner.add(key, stored, timeout, version, **further), False)
        )

    def touch(
        self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, **further: Any
    ) -> bool:
        self._made(key, version)
        _check_timeout(timeout)
        return bool(
            self._one("touch", key, lambda: self.inner.touch(key, timeout, version, **further), False)
        )

    def delete(self, key: Any, version: int | None = None, **further: Any) -> bool:
        self._made(key, version)
        return bool(
            self._one("delete", key, lambda: self.inner.delete(key, version=version, **further), False)
        )

    def set_many(
        self,
        data: Mapping[Any, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        **further: Any,
    ) -> list[Any]:
        _check_timeout(timeout)
        entries = {key: self._entry(key, value, timeout, version) for key, value in data.items()}
        failed = self._calls.make(
            "set_many",
            lambda: self.inner.set_many(entries, timeout, version=version, **further) or [],
            list(entries),
        )
        # Some backends tell the keys as the server has them.
        names = {self.make_key(key, version): key for key in data}
        return [names.get(key, key) for key in failed]

    def delete_many(self, keys: Iterable[Any], version: int | None = None, **further: Any) -> Any:
        wanted = list(keys)
        for key in wanted:
            self._made(key, version)
        if not wanted:
            return None
        return self._calls.make(
            "delete_many", lambda: self.inner.delete_many(wanted, version=version, **further), None
        )

    def clear(self, **further: Any) -> Any:
        return self._calls.make("clear", lambda: self.inner.clear(**further), None)

    def incr(self, key: Any, delta: int = 1, version: int | None = None, **further: Any) -> int:
        self._made(key, version)
        return self._calls.make(
            "incr", lambda: int(self.inner.incr(key, delta, version=version, **further)), delta
        )

    def decr(self, key: Any, delta: int = 1, version: int | None = None, **further: Any) -> int:
        return self.incr(key, -delta, version, **further)

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None, **further: Any) -> int:
        version = self.version if version is None else version
        value = self._get(key, version, further)
        if value is _MISSING:
            raise ValueError(f"Key {key!r} not found")
        if value is not _AWAY:
            # A backend that tells how long an entry still lasts lets it last as long under its new version.
            lasts = self.ttl(key, version=version) if extras.has(self._inner, "ttl") else DEFAULT_TIMEOUT
            if lasts == 0:  # nobody knows: the cache did not answer
                lasts = DEFAULT_TIMEOUT
            set_inner: Any = self.inner.set
            stored, to = self._entry(key, value, lasts, version + delta), version + delta
            # What did not arrive under its new version stays under its old one.
            if self._one(
                "set", key, lambda: set_inner(key, stored, lasts, to, **further) is not False, False
            ):
                self.delete(key, version, **further)
        return version + delta

    def close(self, **kwargs: Any) -> None:
        try:
            self.inner.close(**kwargs)
        except Exception as error:
            log.warning("cache close failed: %s", causes.describe(error))

    def _one(self, operation: str, key: Any, call: Callable[[], T], otherwise: T) -> T:
        """Make a call for one key. A session that cannot be read or stored ends its request."""
        answer: T = self._calls.make(operation, call, _AWAY)
        if answer is _AWAY:
            sessions.end_request_of(key, self._calls.breaker)
            return otherwise
        return answer

    def _made(self, key: Any, version: int | None) -> str:
        """Return the key as the server has it, or raise what Django raises for a key that cannot be used."""
        return self.make_and_validate_key(key, version)

    def _entry(self, key: Any, value: Any, timeout: Any, version: int | None) -> bytes | int:
        """Return the stored form of a value."""
        _check_timeout(timeout)
        encoded = self._values.encode(value, made=self._made(key, version))
        return encoded if isinstance(encoded, int) else self._stored(encoded)

    # --- From coroutines: Django's own would make several calls, or take "away" for missing ---

    aget_many = _in_a_thread("get_many")
    ahas_key = _in_a_thread("has_key")
    aset_many = _in_a_thread("set_many")
    adelete_many = _in_a_thread("delete_many")
    aincr = _in_a_thread("incr")
    adecr = _in_a_thread("decr")
    aincr_version = _in_a_thread("incr_version")
    aclose = _in_a_thread("close")
    # Those of Django take no further arguments.
    aget = _in_a_thread("get")
    aset = _in_a_thread("set")
    aadd = _in_a_thread("add")
    atouch = _in_a_thread("touch")
    adelete = _in_a_thread("delete")
    aclear = _in_a_thread("clear")


def _check_timeout(timeout: Any) -> None:
    """Raise `TypeError` unless it is a number of seconds: each backend would fail in its own way."""
    if timeout is None or timeout is DEFAULT_TIMEOUT:
        return
    if not isinstance(timeout, int | float) or not isfinite(timeout):
        raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}")
