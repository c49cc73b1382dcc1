"""A guard: the bulkhead, retry, breaker and deadline around each call of a dependency."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

from resilience.primitives.breaker import CircuitBreaker, Classify
from resilience.primitives.bulkhead import Bulkhead
from resilience.primitives.clock import SYSTEM_CLOCK, Clock
from resilience.primitives.deadline import budget, deadline_scope
from resilience.primitives.errors import DeadlineExceededError, RejectedError
from resilience.primitives.retry import Retry
from resilience.primitives.shadow import counted_as_cut, measured

T = TypeVar("T")


class Guard:
    """Make calls of one dependency through bulkhead( retry( breaker( deadline( call )))), each optional.

    A call waits for its place once. Each try asks the breaker and is counted by it. Each try has a deadline
    of `limit` seconds (`current_deadline`), or the request's if that ends sooner.
    With `late` nothing is cut: that is called with the seconds that a try has taken beyond its limit.
    """

    def __init__(
        self,
        name: str,
        *,
        bulkhead: Bulkhead | None = None,
        retry: Retry | None = None,
        breaker: CircuitBreaker | None = None,
        limit: float | None = None,
        clock: Clock = SYSTEM_CLOCK,
        late: Callable[[float], None] | None = None,
    ) -> None:
        self.name = name
        self.bulkhead = bulkhead
        self.retry = retry
        self.breaker = breaker
        self.limit = limit
        self._clock = clock
        self._late = late

    def call(
        self, fn: Callable[..., T], /, *args: Any, fallback: Callable[..., T] | None = None, **kwargs: Any
    ) -> T:
        """Return the result of `fn`, or if the call was not made that of `fallback` with the same arguments.

        Without a fallback it raises `BulkheadFullError`, `BreakerOpenError`, or `DeadlineExceededError` with
        `before_call`; whatever `fn` raises goes through.
        """
        work = partial(fn, *args, **kwargs)
        try:
            with self._place():
                return self._try(work) if self.retry is None else self.retry.call(self._try, work)
        except RejectedError:
            if fallback is None:
                raise
        except DeadlineExceededError as spent:
            if fallback is None or not spent.before_call:
                raise
        return fallback(*args, **kwargs)

    @contextmanager
    def calling(self, operation: str = "call", *, classify: Classify | None = None) -> Iterator[None]:
        """Guard the block as one call. It is never repeated, since a block cannot run twice.

        `classify` says what an error counts as, by default the breaker's does. Metrics count by `operation`.
        Raises as `call` does.
        """
        with self._place(), self._once(operation, classify):
            yield

    def _place(self) -> AbstractContextManager[object]:
        if self.bulkhead is None:
            return nullcontext()
        return self.bulkhead.enter(look=None if self.breaker is None else self.breaker.raise_if_refusing)

    def _try(self, work: Callable[[], T]) -> T:
        with self._once("call", None):
            return work()

    @contextmanager
    def _once(self, operation: str, classify: Classify | None) -> Iterator[None]:
        budget(math.inf)  # before the breaker: a call that cannot begin must not take a permit
        with ExitStack() as stack:
            if self.breaker is not None:
                judge = None if classify is None else lambda _, error: classify(error)
                call = self.breaker.calling(operation, judge=judge)
                if self._late is not None and self.limit is not None:
                    stack.enter_context(counted_as_cut(call, self.limit, self._late, self._clock))
                else:
                    stack.enter_context(call)
            if self.limit is not None:
                stack.enter_context(self._bounds(self.limit))
            yield

    def _bounds(self, limit: float) -> AbstractContextManager[object]:
        if self._late is None:
            return deadline_scope(limit, clock=self._clock)
        # A breaker has measured it already.
        return measured(limit, self._late, self._clock) if self.breaker is None else nullcontext()
