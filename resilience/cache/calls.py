"""Make one call of a cache: through its breaker, inside its time, raising only what the caller did wrong."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import redis

from resilience import conf, faults, registry
from resilience.cache import failures, scope
from resilience.primitives import Outcome, RejectedError, current_deadline, deadline_scope

T = TypeVar("T")
log = logging.getLogger("resilience.cache")


class Calls:
    """The calls of one cache, judged by the breaker of this name."""

    def __init__(self, breaker: str) -> None:
        self._breaker = breaker
        self._limit = conf.deadline("cache")

    def make(self, operation: str, call: Callable[[], T], otherwise: T) -> T:
        """Return what `call` returns, or `otherwise` when the cache is away: refused, failing or given up.

        The breaker hears of each failure before it is swallowed. What the caller did wrong is raised.
        """
        deadline = current_deadline()
        if scope.given_up() or (deadline is not None and deadline.expired):
            return otherwise
        breaker = registry.breaker(self._breaker)
        try:
            admission = breaker.admit()
        except RejectedError:
            return otherwise
        started = time.monotonic()
        try:
            answer = self.ask(call)
        except BaseException as error:
            took = time.monotonic() - started
            outcome = self._outcome(error, operation, took)
            breaker.settle(admission, outcome, error=error, operation=operation, took=took)
            if failures.timed_out(error):
                scope.give_up()
            if failures.is_callers(error, operation):
                raise
            if outcome is not Outcome.FAILURE or not admission.counts:  # else the breaker says why, once
                log.warning("cache %s failed: %s", operation, error)
            return otherwise
        breaker.settle(admission, Outcome.SUCCESS, operation=operation, took=time.monotonic() - started)
        return answer

    def ask(self, call: Callable[[], T]) -> T:
        """Call within the limits, past the breaker; raise what went wrong."""
        # Connecting and the reply have the limit each.
        with deadline_scope(2 * self._limit):
            faults.inject(
                self._breaker, limit=self._limit, error=redis.ConnectionError, timeout=redis.TimeoutError
            )
            return call()

    def note_undecodable(self, key: str, error: Exception) -> None:
        """Count and log an entry that is not ours; its reader takes it for missing."""
        registry.store().counters.add("calls", self._breaker, "decode", "failure")
        log.warning("cache entry %r is taken for missing: %s", key, error)

    def _outcome(self, error: BaseException, operation: str, elapsed: float) -> Outcome:
        # See Note [A wait that we cut short].
        if failures.timed_out(error) and elapsed < self._limit:
            return Outcome.SLOW if elapsed >= self._limit / 2 else Outcome.IGNORED
        return failures.classify(error, operation)
