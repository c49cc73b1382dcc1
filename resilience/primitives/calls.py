"""Guard a call of any kind: function, generator, coroutine, asynchronous generator, `with` block."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from functools import wraps
from types import TracebackType
from typing import Any, Literal, TypeVar

from .admitting import AdmittingBreaker
from .cell import Admission
from .errors import BreakerOpenError
from .state import Outcome

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

# Looking a member up in its class costs as much as comparing it five times.
_SUCCESS = Outcome.SUCCESS
# A generator, coroutine or asynchronous generator function, by the flags of its code.
_NOT_PLAIN = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
# The `with` blocks that are open here: breaker, admission, beginning.
_Block = tuple["CallingBreaker", Admission, float]
_blocks: ContextVar[tuple[_Block, ...]] = ContextVar("resilience_blocks", default=())


class CallingBreaker(AdmittingBreaker):
    """A breaker that makes the call itself, or decorates what does."""

    def execute(
        self, fn: Callable[..., T], *args: Any, fallback: Callable[..., T] | None = None, **kwargs: Any
    ) -> T:
        """Call `fn`, a function of any kind; where that is refused, call `fallback` with the same arguments.

        Raise `BreakerOpenError` when refused without a fallback.
        """
        fallback = fallback or self._fallback_function
        if getattr(getattr(fn, "__code__", None), "co_flags", 0) & _NOT_PLAIN:
            run = self._kind_of_call(fn)
            result: T = run(fn, fallback, args, kwargs)
            return result
        return self._run(fn, fallback, args, kwargs)

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return self._run(func, self._fallback_function, args, kwargs)

    def call_generator(self, func: Callable[..., Iterator[T]], *args: Any, **kwargs: Any) -> Iterator[T]:
        return self._run_generator(func, self._fallback_function, args, kwargs)

    def call_async(self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> Awaitable[T]:
        return self._run_async(func, self._fallback_function, args, kwargs)

    def call_async_generator(
        self, func: Callable[..., AsyncIterator[T]], *args: Any, **kwargs: Any
    ) -> AsyncIterator[T]:
        return self._run_async_generator(func, self._fallback_function, args, kwargs)

    def _run(
        self,
        func: Callable[..., T],
        fallback: Callable[..., Any] | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> T:
        cell = self._cell
        if cell.words[cell.at] == cell.gate:
            admission = cell.closed
        else:
            entered = self._enter()
            if isinstance(entered, BreakerOpenError):
                if fallback is not None:
                    instead: T = fallback(*args, **kwargs)
                    return instead
                try:
                    raise entered
                finally:
                    del entered  # See Note [A refusal lets go of itself].
            admission = entered
        now = self._now
        start = now()
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            self._failed(admission, error, now() - start)
            raise
        end = now()
        if (
            end < cell.due
            and end - start <= self._slow_after
            and admission is cell.closed
            and cell.words[cell.at] == cell.gate
        ):
            # Closed all along, and nothing is due: one count, which needs no lock.
            cell.words[cell.count_at] = next(cell.successes)
            self._last_failure = None
        else:
            self.settle(admission, _SUCCESS, took=end - start)
        return result

    def _run_generator(
        self,
        func: Callable[..., Iterator[T]],
        fallback: Callable[..., Iterator[T]] | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Iterator[T]:
        admission = self._enter()
        if isinstance(admission, BreakerOpenError):
            if fallback is None:
                try:
                    raise admission
                finally:
                    del admission  # See Note [A refusal lets go of itself].
            yield from fallback(*args, **kwargs)
            return
        # Time spent by the consumer is not the dependency's, so a generator is never slow.
        try:
            yield from func(*args, **kwargs)
        except BaseException as error:
            self._failed(admission, error, 0.0)
            raise
        self.settle(admission, _SUCCESS)

    async def _run_async(
        self,
        func: Callable[..., Awaitable[T]],
        fallback: Callable[..., Awaitable[T]] | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> T:
        admission = self._enter()
        if isinstance(admission, BreakerOpenError):
            if fallback is None:
                try:
                    raise admission
                finally:
                    del admission  # See Note [A refusal lets go of itself].
            return await fallback(*args, **kwargs)
        start = self._now()
        try:
            result = await func(*args, **kwargs)
        except BaseException as error:
            self._failed(admission, error, self._now() - start)
            raise
        self.settle(admission, _SUCCESS, took=self._now() - start)
        return result

    async def _run_async_generator(
        self,
        func: Callable[..., AsyncIterator[T]],
        fallback: Callable[..., AsyncIterator[T]] | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> AsyncIterator[T]:
        admission = self._enter()
        if isinstance(admission, BreakerOpenError):
            if fallback is None:
                try:
                    raise admission
                finally:
                    del admission  # See Note [A refusal lets go of itself].
            async for item in fallback(*args, **kwargs):
                yield item
            return
        try:
            async for item in func(*args, **kwargs):
                yield item
        except BaseException as error:
            self._failed(admission, error, 0.0)
            raise
        self.settle(admission, _SUCCESS)

    def decorate(self, function: F) -> F:
        decorated = super().decorate(function)
        # An unnamed breaker is named after the first function that it guards.
        self._gate.name = str(self)
        return decorated

    def _kind_of_call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isasyncgenfunction(function):
            return self._run_async_generator
        if inspect.iscoroutinefunction(function):
            return self._run_async
        if inspect.isgeneratorfunction(function):
            return self._run_generator
        return self._run

    def _decorate_sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        run = self._kind_of_call(function)
        if run == self._run_generator:

            @wraps(function)
            def generate(*args: Any, **kwargs: Any) -> Iterator[Any]:
                yield from run(function, self._fallback_function, args, kwargs)

            return generate

        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return run(function, self._fallback_function, args, kwargs)

        return wrapper

    def _decorate_async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        run = self._kind_of_call(function)
        if run == self._run_async:

            @wraps(function)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                return await run(function, self._fallback_function, args, kwargs)

            return wrapper

        @wraps(function)
        async def generate(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            async for item in run(function, self._fallback_function, args, kwargs):
                yield item

        return generate

    def __enter__(self) -> None:
        """Admit what is in the `with` block; raise `BreakerOpenError` when that is refused."""
        admission = self._enter()
        if isinstance(admission, BreakerOpenError):
            try:
                raise admission
            finally:
                del admission  # See Note [A refusal lets go of itself].
        _blocks.set((*_blocks.get(), (self, admission, self._now())))

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> Literal[False]:
        blocks = _blocks.get()
        place = next((n for n in reversed(range(len(blocks))) if blocks[n][0] is self), None)
        if place is None:
            # Left in another context than it was entered in; a permit, if it had one, lapses by itself.
            return False
        _, admission, start = blocks[place]
        _blocks.set(blocks[:place] + blocks[place + 1 :])
        if exc_value is not None:
            self._failed(admission, exc_value, self._now() - start)
        else:
            self.settle(admission, _SUCCESS, took=self._now() - start)
        return False
