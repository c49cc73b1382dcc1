"""Put together what stands around each call of one dependency."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from resilience.primitives.breaker import CircuitBreaker
from resilience.primitives.bulkhead import Bulkhead
from resilience.primitives.clock import SYSTEM_CLOCK, Clock
from resilience.primitives.deadline import budget, deadline_scope
from resilience.primitives.errors import DeadlineExceededError, RejectedError
from resilience.primitives.retry import Retry

T = TypeVar("T")


class Guard:
    """Call one dependency through bulkhead( retry( breaker( deadline( call )))), each of them optional.

    The order matters: a call waits for its place once, each try asks the breaker and is counted by it, and
    each try sees a deadline of `limit` seconds (`current_deadline`), or the request's if that ends sooner.
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
    ) -> None:
        self.name = name
        self.bulkhead = bulkhead
        self.retry = retry
        self.breaker = breaker
        self.limit = limit
        self._clock = clock

    def call(
        self, fn: Callable[..., T], /, *args: Any, fallback: Callable[..., T] | None = None, **kwargs: Any
    ) -> T:
        """Return what `fn` returns, or `fallback` with the same arguments when the call was not made.

        Without a fallback it raises `BulkheadFullError`, `BreakerOpenError`, or `DeadlineExceededError` with
        `before_call`; whatever `fn` raises goes through.
        """
        work = partial(fn, *args, **kwargs)
        try:
            if self.bulkhead is None:
                return self._tries(work)
            return self.bulkhead.execute(self._tries, work)
        except RejectedError:
            if fallback is None:
                raise
        except DeadlineExceededError as spent:
            if fallback is None or not spent.before_call:
                raise
        return fallback(*args, **kwargs)

    def _tries(self, work: Callable[[], T]) -> T:
        return self._try(work) if self.retry is None else self.retry.call(self._try, work)

    def _try(self, work: Callable[[], T]) -> T:
        budget(math.inf)  # Asked before the breaker: a call that cannot begin must not take a permit.
        if self.breaker is None:
            return self._timed(work)
        outcome: T = self.breaker.execute(self._timed, work)
        return outcome

    def _timed(self, work: Callable[[], T]) -> T:
        if self.limit is None:
            return work()
        with deadline_scope(self.limit, clock=self._clock):
            return work()
