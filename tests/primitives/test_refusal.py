"""A refusal costs little and leaves nothing behind: an outage is made of them."""

import gc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from resilience.primitives import BreakerOpenError, CircuitBreaker
from tests.primitives.conftest import Bench


def admits(breaker: CircuitBreaker) -> Any:
    return breaker.admit()


def looks(breaker: CircuitBreaker) -> Any:
    breaker.raise_if_refusing()


def calls(breaker: CircuitBreaker) -> Any:
    return breaker(lambda: None)()


def enters(breaker: CircuitBreaker) -> Any:
    with breaker:
        return None


def generates(breaker: CircuitBreaker) -> Any:
    @breaker
    def rows() -> Iterator[int]:
        yield 1

    return list(rows())


def awaits(breaker: CircuitBreaker) -> Any:
    @breaker
    async def answer() -> None:
        """Answer."""

    # By hand: a task keeps the error for itself.
    return answer().send(None)


def generates_asynchronously(breaker: CircuitBreaker) -> Any:
    @breaker
    async def rows() -> AsyncIterator[int]:
        yield 1

    return anext(rows()).__await__().send(None)


@pytest.mark.parametrize(
    "face",
    [admits, looks, calls, enters, generates, awaits, generates_asynchronously],
    ids=lambda face: face.__name__,
)
class TestRefusal:
    def test_is_gone_once_it_was_handled(self, bench: Bench, face: Callable[[CircuitBreaker], Any]) -> None:
        breaker = bench.opened()
        gone: weakref.ref[BreakerOpenError] | None = None
        gc.disable()
        try:
            try:
                face(breaker)
            except BreakerOpenError as refusal:
                gone = weakref.ref(refusal)
            assert gone is not None
            assert gone() is None
        finally:
            gc.enable()

    def test_tells_who_refused_why_and_for_how_long(
        self, bench: Bench, face: Callable[[CircuitBreaker], Any]
    ) -> None:
        breaker = bench.opened()
        bench.clock.advance(5.0)
        with pytest.raises(BreakerOpenError) as caught:
            face(breaker)
        told = (caught.value.name, caught.value.reason, caught.value.retry_after)
        assert told == ("database", "open", 10.0)
        assert caught.value._circuit_breaker is breaker
        assert str(caught.value) == "database: open, try again in 10.0 s"


class TestLook:
    """`raise_if_refusing`, for whoever prepares a call that somebody else makes."""

    def test_lets_pass_what_a_closed_breaker_would(self, bench: Bench) -> None:
        bench.breaker().raise_if_refusing()

    def test_takes_no_permit_from_the_call_that_follows(self, bench: Bench) -> None:
        breaker = bench.due()
        breaker.raise_if_refusing()
        assert breaker.call(bench.dependency) == "answer"

    def test_says_that_a_probe_is_under_way(self, bench: Bench) -> None:
        breaker = bench.due()
        breaker.admit()
        with pytest.raises(BreakerOpenError, match="a probe is under way"):
            breaker.raise_if_refusing()

    @pytest.mark.parametrize(("until", "rest"), [(None, 15.0), (60.0, 60.0)])
    def test_says_that_an_operator_refuses(self, bench: Bench, until: float | None, rest: float) -> None:
        breaker = bench.breaker()
        breaker.isolate(who="anna", why="", until=until and bench.clock.time() + until)
        with pytest.raises(BreakerOpenError, match="isolated by an operator") as caught:
            breaker.raise_if_refusing()
        assert caught.value.retry_after == rest

    def test_is_counted_as_the_refusal_that_it_saves(self, bench: Bench) -> None:
        breaker = bench.opened()
        with pytest.raises(BreakerOpenError):
            breaker.raise_if_refusing()
        assert breaker.refuses()
        assert breaker.snapshot().rejected == 1
