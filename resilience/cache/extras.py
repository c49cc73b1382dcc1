"""What a backend can do beyond Django's caches, behind the same guard: locks, expiry, patterns, sets, hashes.

A cache that is away says what an empty one would say. A lock is not acquired. A method of a backend that is
not known here returns None.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from resilience.cache.codec import Stored, UndecodableError
from resilience.cache.failures import EXTRA

if TYPE_CHECKING:
    from django.core.cache.backends.base import BaseCache

    from resilience.cache.calls import Calls
    from resilience.cache.inner import Inner

_END: Any = object()

# The answers of an empty cache that are not None, by method; each is made for its caller.
_EMPTY: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("ttl", "pttl", "delete_pattern"), lambda *_, **__: 0),
    **dict.fromkeys(("persist", "expire", "pexpire", "expire_at", "pexpire_at"), lambda *_, **__: False),
    "keys": lambda *_, **__: [],
    **dict.fromkeys(("iter_keys", "sscan_iter"), lambda *_, **__: iter(())),
    # Sets
    **dict.fromkeys(
        ("sadd", "scard", "srem", "sdiffstore", "sinterstore", "sunionstore"), lambda *_, **__: 0
    ),
    **dict.fromkeys(("sdiff", "sinter", "sunion", "smembers", "sscan"), lambda *_, **__: set()),
    **dict.fromkeys(("sismember", "smove"), lambda *_, **__: False),
    "smismember": lambda key, *members, **_: [False] * len(members),
    "spop": lambda key, count=None, **_: None if count is None else set(),
    "srandmember": lambda key, count=None, **_: None if count is None else [],
    # Hashes
    **dict.fromkeys(("hset", "hdel", "hlen"), lambda *_, **__: 0),
    "hkeys": lambda *_, **__: [],
    "hexists": lambda *_, **__: False,
    # Sorted sets
    **dict.fromkeys(("zcard", "zcount", "zrem", "zremrangebyscore"), lambda *_, **__: 0),
    "zadd": lambda *_, incr=False, **__: None if incr else 0,
    "zincrby": lambda key, amount, *_, **__: float(amount),
    **dict.fromkeys(("zrange", "zrangebyscore", "zrevrange", "zrevrangebyscore"), lambda *_, **__: []),
    **dict.fromkeys(("zpopmax", "zpopmin"), lambda key, count=None, **_: None if count is None else []),
}
# What these return cannot be empty: it is guarded by itself, or the call raises.
_MAKE_SOMETHING = frozenset({"lock"})
# What these return is an iterator, though they are no generators.
_ITERATE = frozenset({"iter_keys", "sscan_iter"})
# Calls of many commands: no single answer takes long.
_SEVERAL = frozenset({"delete_pattern"})


def has(inner: Inner, name: str) -> bool:
    """Tell whether the backend has a method of this name."""
    return callable(getattr(inner.backend, name, None))


def attribute(cache: Any, inner: Inner, calls: Calls, name: str) -> Any:
    """Return a method of the backend behind the guard, for coroutines if its name begins with "a".

    What is no method, such as `client`, is returned as it is. Raises AttributeError if there is none.
    """
    method = getattr(inner.backend, name, None)
    if callable(method):
        return _guarded(cache, inner, calls, name, method)
    if name.startswith("a") and has(inner, name[1:]):
        return _in_a_thread(cache, inner, name[1:])
    if method is None and not hasattr(cache.inner, name):
        raise AttributeError(f"neither {type(cache).__name__} nor {inner.backend.__name__} has {name!r}")
    return getattr(cache.inner, name)


def _in_a_thread(cache: Any, inner: Inner, name: str) -> Callable[..., Any]:
    """Return the form for coroutines of a method that blocks."""
    if name in _MAKE_SOMETHING:
        raise AttributeError(
            f"there is no a{name}: what {name} returns blocks, so use it within one function of sync_to_async"
        )
    call: Callable[..., Any] = getattr(cache, name)

    async def awaited(*args: Any, **kwargs: Any) -> Any:
        answer = await sync_to_async(call)(*args, **kwargs)
        return _each_in_a_thread(answer) if isinstance(answer, Iterator) else answer

    async def each(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async for item in _each_in_a_thread(await sync_to_async(call)(*args, **kwargs)):
            yield item

    return each if name in _ITERATE or isgeneratorfunction(getattr(inner.backend, name)) else awaited


async def _each_in_a_thread(source: Iterator[Any]) -> AsyncIterator[Any]:
    """Yield what an iterator finds; each step may wait for the server, so it runs in a thread."""
    while (item := await sync_to_async(lambda: next(source, _END))()) is not _END:
        yield item


def _guarded(cache: Any, inner: Inner, calls: Calls, name: str, method: Any) -> Callable[..., Any]:
    def bound() -> Any:
        backend: BaseCache = cache.inner
        return getattr(backend, name)

    def empty(args: Any, kwargs: Any) -> Any:
        answer = _EMPTY.get(name)
        return None if answer is None else answer(*args, **kwargs)

    def call(*args: Any, **kwargs: Any) -> Any:
        if name in _MAKE_SOMETHING:
            made = partial(bound(), *args, **kwargs)
            if inner.lock is not None:
                key = args[0] if args else kwargs.get("key")
                return inner.lock(calls, made, key, blocking=kwargs.get("blocking", True))
            return made() if inner.guards else calls.each(made)
        make = calls.several if name in _SEVERAL and inner.guards else calls.make
        answer = make(EXTRA, lambda: bound()(*args, **kwargs), _END)
        if answer is _END:
            return empty(args, kwargs)
        if isinstance(answer, Iterator):
            return _each(calls, inner, answer)
        return _readable(calls, name, answer)

    async def awaited(*args: Any, **kwargs: Any) -> Any:
        answer = await calls.make_async(EXTRA, lambda: bound()(*args, **kwargs), _END)
        return empty(args, kwargs) if answer is _END else _readable(calls, name, answer)

    async def each_awaited(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        source: Any = None

        async def following() -> Any:
            nonlocal source
            if source is None:
                source = bound()(*args, **kwargs)
            return await anext(source, _END)

        try:
            while (item := await calls.make_async(EXTRA, following, _END)) is not _END:
                if _is_foreign(item):
                    _note(calls, "an iterator")
                else:
                    yield item
        finally:
            if source is not None:
                await calls.let_go(source.aclose)

    if isasyncgenfunction(method):
        return each_awaited
    return awaited if iscoroutinefunction(method) else call


def _each(calls: Calls, inner: Inner, source: Iterator[Any]) -> Iterator[Any]:
    """Yield what an iterator of the backend finds, until the cache is away or the time is up."""
    while True:
        if inner.guards:
            item = calls.several(EXTRA, lambda: next(source, _END), _END)
        else:
            item = calls.make(EXTRA, lambda: next(source, _END), _END, quiet=True)
        if item is _END:
            return
        if _is_foreign(item):
            _note(calls, "an iterator")
        else:
            yield item


def _readable(calls: Calls, name: str, answer: Any) -> Any:
    """Leave out what the cache has not written, or can read only under its own key."""
    if _is_foreign(answer):
        _note(calls, name)
        return None
    if type(answer) in (list, set) and any(map(_is_foreign, answer)):
        _note(calls, name)
        return type(answer)(item for item in answer if not _is_foreign(item))
    return answer


def _is_foreign(item: Any) -> bool:
    """Tell whether the cache has not written this or, in a tuple of a member and its score, a part."""
    return type(item) is Stored or (type(item) is tuple and any(map(_is_foreign, item)))


def _note(calls: Calls, where: str) -> None:
    calls.note_undecodable(UndecodableError(f"what {where} finds was not written by this cache"))
