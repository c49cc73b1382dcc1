"""The circuit breaker as its users see it: a `circuitbreaker.CircuitBreaker` that a whole host shares.

Decorator, context manager, `execute`, or `admit` and `settle` for who measures by himself.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from functools import wraps
from math import ceil, floor, inf
from types import TracebackType
from typing import Any, Literal, TypeVar

import circuitbreaker

from . import state
from .cell import Admission
from .clock import SYSTEM_CLOCK, Clock
from .config import BreakerConfig
from .errors import BreakerOpenError, DeadlineExceededError, RejectedError
from .gate import Gate, Transition
from .snapshot import BreakerSnapshot, snapshot
from .state import Outcome, Override, Record, State
from .store import ALONE, LocalStore, Store

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Classify = Callable[[BaseException], Outcome]

# Note [A refusal lets go of itself]
# An error's traceback holds the frame that raised it, and a variable of that frame holds the error: both
# would live until the next collection, at each refused call of an outage. So the variable goes first.

# Looking a member up in its class costs as much as comparing it five times.
_SUCCESS, _FAILURE = Outcome.SUCCESS, Outcome.FAILURE
# A generator, coroutine or asynchronous generator function, by the flags of its code.
_NOT_PLAIN = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_WORDS = {
    State.CLOSED: circuitbreaker.STATE_CLOSED,
    State.OPEN: circuitbreaker.STATE_OPEN,
    State.HALF_OPEN: circuitbreaker.STATE_HALF_OPEN,
}
# The `with` blocks that are open here: breaker, admission, beginning.
_Block = tuple["CircuitBreaker", Admission, float]
_blocks: ContextVar[tuple[_Block, ...]] = ContextVar("resilience_blocks", default=())


class CircuitBreaker(circuitbreaker.CircuitBreaker):
    """Refuse calls to a dependency that fails, and find out when it is back.

    All arguments may be left out. Those of the library mean what they mean there; `config` says more, and
    stands above `failure_threshold` and `recovery_timeout`. Without a `store` the breaker is this
    process's own; in one it is that of all processes that use the same `key` (by default the name).
    `classify` says what an exception counts as, in place of `expected_exception`: see `Outcome`.
    """

    def __init__(
        self,
        failure_threshold: int | None = None,
        recovery_timeout: float | None = None,
        expected_exception: Any = None,
        name: str | None = None,
        fallback_function: Callable[..., Any] | None = None,
        *,
        config: BreakerConfig | None = None,
        store: Store | None = None,
        key: str | None = None,
        classify: Classify | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if config is not None:
            failure_threshold, recovery_timeout = config.failure_threshold, config.recovery_timeout
        super().__init__(failure_threshold, recovery_timeout, expected_exception, name, fallback_function)
        self.config = config or BreakerConfig(
            failure_threshold=self._failure_threshold, recovery_timeout=self._recovery_timeout
        )
        self._opened = clock.monotonic()
        self._classify = classify or self._classify_expected
        self._now = clock.monotonic
        self._slow_after = inf if self.config.slow_after is None else self.config.slow_after
        # A subclass may have an opinion of its own, which the library asks before each decorated call.
        opinionated = type(self).opened is not _OPENED
        self._gate = Gate(
            self,
            str(self),
            store or LocalStore(ALONE),
            key or name or "",
            self.config,
            clock,
            fast=not opinionated,
        )
        self._cell = self._gate.cell
        self._enter = self._enter_by_opinion if opinionated else self._gate.admit

    # ---- measured by the caller

    def admit(self) -> Admission:
        """Let a call pass; raise `BreakerOpenError` if it may not be made. Takes a permit when half-open."""
        admission = self._gate.admit()
        if isinstance(admission, BreakerOpenError):
            try:
                raise admission
            finally:
                del admission  # See Note [A refusal lets go of itself].
        return admission

    def settle(
        self,
        admission: Admission,
        outcome: Outcome,
        *,
        error: BaseException | None = None,
        operation: str = "call",
        took: float = 0.0,
    ) -> None:
        """Say how an admitted call ended, which took `took` seconds.

        May be said of many calls of one admission. A success that took longer than `slow_after` is slow.
        """
        if outcome is _SUCCESS and took > self._slow_after:
            outcome = Outcome.SLOW
        if self._gate.settle(admission, outcome, error, operation):
            if outcome is _FAILURE:
                self._last_failure = error
            elif outcome is _SUCCESS:
                self._last_failure = None

    def classify(self, error: BaseException) -> Outcome:
        """Say what an exception of a call counts as."""
        return self._classify(error)

    def refuses(self) -> bool:
        """Say whether a call would be refused now, without taking a permit."""
        return self._gate.refuses()

    # ---- measured here

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
            self._failed(admission, error)
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
            self._failed(admission, error)
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
            self._failed(admission, error)
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
            self._failed(admission, error)
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
            self._failed(admission, exc_value)
        else:
            self.settle(admission, _SUCCESS, took=self._now() - start)
        return False

    def _enter_by_opinion(self) -> Admission | BreakerOpenError:
        if self.opened:
            record, now = self._gate.record()
            return BreakerOpenError(self, str(self), max(0.0, record.until - now), "open")
        return self._gate.admit()

    def _failed(self, admission: Admission, error: BaseException) -> None:
        outcome = self._classify(error)
        if self._gate.settle(admission, outcome, error, "call") and outcome is _FAILURE:
            self._last_failure = error

    def _classify_expected(self, error: BaseException) -> Outcome:
        """What is expected is a failure; a call that never reached the dependency says nothing about it."""
        if isinstance(error, RejectedError) or not isinstance(error, Exception):
            return Outcome.IGNORED
        if isinstance(error, DeadlineExceededError) and error.before_call:
            return Outcome.IGNORED
        return Outcome.FAILURE if self.is_failure(type(error), error) else Outcome.ANSWERED

    # ---- seen and steered

    def on_transition(self, listener: Callable[[Transition], None]) -> None:
        """Tell `listener` each transition that this process makes; what it raises is logged."""
        self._gate.listeners.append(listener)

    def isolate(self, *, who: str, why: str, until: float | None = None) -> bool:
        """Hold it open until `until` (wall seconds; None: for good). False if the store was too busy."""
        return self._order("isolate", who, why, until, isolated=True)

    def disable(self, *, who: str, why: str, until: float | None = None) -> bool:
        """Refuse nothing until `until`, and go on measuring. False if the store was too busy."""
        return self._order("disable", who, why, until, isolated=False)

    def auto(self, *, who: str, why: str) -> bool:
        """End an order. False if there was none, or the store was too busy."""
        note = self._override(who, why, None, isolated=False)
        return self._gate.order(
            "auto", lambda record, now: state.automatic(record), "back to automatic", note
        )

    def reset(self, *, who: str = "", why: str = "") -> bool:
        """Close it, forget the window and end any order. False if the store was too busy."""
        note = self._override(who, why, None, isolated=False)
        self._last_failure = None
        return self._gate.order("reset", state.reset, "reset", note)

    def _order(self, name: str, who: str, why: str, until: float | None, *, isolated: bool) -> bool:
        override = self._override(who, why, until, isolated=isolated)

        def given(record: Record, now: float) -> Record:
            return state.ordered(record, override, now)

        return self._gate.order(name, given, f"{name} by {who or 'nobody'}", override)

    def _override(self, who: str, why: str, until: float | None, *, isolated: bool) -> Override:
        clock = self._gate.clock
        now = clock.monotonic()
        ends = None if until is None else now + until - clock.time()
        return Override(isolated, who[:64], why[:200], now, ends)

    def snapshot(self) -> BreakerSnapshot:
        """Return what there is to know about it, of the whole host."""
        return snapshot(self._gate)

    def calls(self) -> dict[tuple[str, str], int]:
        """Return the calls of all processes since the store was built, by operation and outcome."""
        self._gate.record()
        return self._cell.calls(self._gate.name)

    def shown(self) -> State:
        """The state as people see it: `CLOSED`, `OPEN` (isolated too) or `HALF_OPEN`. Cheap."""
        record, now = self._gate.record()
        return record.shown(now)

    @property
    def state(self) -> str:
        """The state in the library's own words."""
        return _WORDS[self.shown()]

    @property
    def open_remaining(self) -> int:
        """Seconds, rounded away from zero; below zero once the open time is over."""
        record, now = self._gate.record()
        ends = self._opened + self._recovery_timeout if record.state is State.CLOSED else record.until
        return ceil(ends - now) if ends > now else floor(ends - now)

    @property
    def failure_count(self) -> int:
        """Failures in the window while closed, else those that opened it and those of probes since."""
        record, _ = self._gate.record()
        return self._gate.totals().failures if record.state is State.CLOSED else record.failures


_OPENED = CircuitBreaker.opened
