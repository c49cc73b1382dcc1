"""Guard a function by a breaker. The result is a function of the same kind: plain, coroutine or generator.

If a call is refused, the `fallback` is called with the same arguments; without one the refusal is raised.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from .errors import BreakerOpenError
from .rules import Admission

T = TypeVar("T")


class Breaker(Protocol):
    """The part of a breaker that is used here."""

    def admit(self) -> Admission: ...

    def calling(
        self, *, admission: Admission | None = None, timed: bool = True
    ) -> AbstractContextManager[object]: ...


def guarded(
    breaker: Breaker, function: Callable[..., Any], fallback: Callable[..., Any] | None
) -> Callable[..., Any]:
    """Return a function of the same kind that calls `function` through the breaker."""
    if inspect.isasyncgenfunction(function):
        return async_generator(breaker, function, fallback)
    if inspect.iscoroutinefunction(function):
        return coroutine(breaker, function, fallback)
    if inspect.isgeneratorfunction(function):
        return generator(breaker, function, fallback)
    return plain(breaker, function, fallback)


def plain(
    breaker: Breaker, function: Callable[..., T], fallback: Callable[..., T] | None
) -> Callable[..., T]:
    def call(*args: Any, **kwargs: Any) -> T:
        admission = breaker.admit() if fallback is None else _admitted(breaker, fallback)
        if isinstance(admission, Admission):
            with breaker.calling(admission=admission):
                return function(*args, **kwargs)
        return admission(*args, **kwargs)

    return call


def coroutine(
    breaker: Breaker, function: Callable[..., Awaitable[T]], fallback: Callable[..., Awaitable[T]] | None
) -> Callable[..., Awaitable[T]]:
    async def call(*args: Any, **kwargs: Any) -> T:
        admission = breaker.admit() if fallback is None else _admitted(breaker, fallback)
        if isinstance(admission, Admission):
            with breaker.calling(admission=admission):
                return await function(*args, **kwargs)
        return await admission(*args, **kwargs)

    return call


# The time between two items is the consumer's, not the dependency's, so generators are not timed.


def generator(
    breaker: Breaker, function: Callable[..., Iterator[T]], fallback: Callable[..., Iterator[T]] | None
) -> Callable[..., Iterator[T]]:
    def call(*args: Any, **kwargs: Any) -> Iterator[T]:
        admission = breaker.admit() if fallback is None else _admitted(breaker, fallback)
        if isinstance(admission, Admission):
            with breaker.calling(admission=admission, timed=False):
                yield from function(*args, **kwargs)
        else:
            yield from admission(*args, **kwargs)

    return call


def async_generator(
    breaker: Breaker,
    function: Callable[..., AsyncIterator[T]],
    fallback: Callable[..., AsyncIterator[T]] | None,
) -> Callable[..., AsyncIterator[T]]:
    async def call(*args: Any, **kwargs: Any) -> AsyncIterator[T]:
        admission = breaker.admit() if fallback is None else _admitted(breaker, fallback)
        if isinstance(admission, Admission):
            with breaker.calling(admission=admission, timed=False):
                async for item in function(*args, **kwargs):
                    yield item
        else:
            async for item in admission(*args, **kwargs):
                yield item

    return call


def _admitted(breaker: Breaker, fallback: Callable[..., T]) -> Admission | Callable[..., T]:
    """Return the admission of a call, or if it is refused the fallback."""
    try:
        return breaker.admit()
    except BreakerOpenError:
        return fallback
