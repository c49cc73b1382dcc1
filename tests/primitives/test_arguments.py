"""Whatever kind of function is guarded, it and its fallback get the arguments of the call."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from .conftest import Bench

Given = tuple[tuple[Any, ...], dict[str, Any]]


def plain(*args: Any, **kwargs: Any) -> Given:
    return args, kwargs


def generator(*args: Any, **kwargs: Any) -> Iterator[Given]:
    yield args, kwargs


async def coroutine(*args: Any, **kwargs: Any) -> Given:
    return args, kwargs


async def async_generator(*args: Any, **kwargs: Any) -> AsyncIterator[Given]:
    yield args, kwargs


async def _first(items: AsyncIterator[Given]) -> Given:
    return await anext(items)


def result(kind: Callable[..., Any], outcome: Any) -> Given:
    """Get out of what a kind of function returns what it was given."""
    if kind is generator:
        given: Given = next(iter(outcome))
    elif kind is coroutine:
        given = asyncio.run(outcome)
    elif kind is async_generator:
        given = asyncio.run(_first(outcome))
    else:
        given = outcome
    return given


@pytest.mark.parametrize(
    "kind", [plain, generator, coroutine, async_generator], ids=lambda kind: kind.__name__
)
class TestArguments:
    def test_reach_the_function(self, bench: Bench, kind: Callable[..., Any]) -> None:
        breaker = bench.breaker()
        assert result(kind, breaker(kind)(1, two=2)) == ((1,), {"two": 2})
        assert result(kind, breaker.execute(kind, 1, two=2)) == ((1,), {"two": 2})

    def test_reach_the_fallback(self, bench: Bench, kind: Callable[..., Any]) -> None:
        breaker = bench.opened()
        assert result(kind, breaker.execute(kind, 1, two=2, fallback=kind)) == ((1,), {"two": 2})


class TestQuickCoroutine:
    def test_is_not_slow(self, bench: Bench) -> None:
        breaker = bench.breaker(slow_after=1.0)

        async def call() -> None:
            await breaker.call_async(coroutine)

        asyncio.run(call())
        assert (breaker.snapshot().successes, breaker.snapshot().slow) == (1, 0)
