"""Make one call of a cache, through its breaker and within its time; raise only the caller's own mistakes."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import redis

from resilience import causes, conf, faults, registry
from resilience.cache import failures
from resilience.primitives import (
    BreakerOpenError,
    Call,
    CircuitBreaker,
    Outcome,
    RejectedError,
    current_deadline,
    cut_short,
    deadline_scope,
)
from resilience.request.scope import give_up_cache, has_given_up_cache

T = TypeVar("T")
log = logging.getLogger("resilience.cache")


# CHANGING: the calls that a cache without writes cannot do. STORING: those that are then not even tried.
# A deletion is tried, since many servers still delete.
CHANGING = frozenset({"set", "add", "set_many", "incr", "touch", "delete", "delete_many", "clear"})
STORING = frozenset({"set", "add", "set_many", "incr"})


class Calls:
    """The calls of one cache, for its breaker (of this name) and the breaker of its writes."""

    def __init__(self, breaker: str) -> None:
        self._breaker = breaker
        self._writes = f"{breaker}:writes"
        self._limit = conf.deadline("cache")

    def make(self, operation: str, call: Callable[[], T], otherwise: T) -> T:
        """Return what `call` returns, or `otherwise` if the cache is away: refused, failing or given up.

        Each failure is counted by the breaker. The caller's own mistakes are raised.
        """
        deadline = current_deadline()
        if has_given_up_cache() or (deadline is not None and deadline.expired):
            return otherwise
        breaker = registry.breaker(self._breaker)
        if conf.shadow():
            with breaker.calling(operation, judge=self._judge):
                return call()
        storing = operation in STORING
        writes = registry.breaker(self._writes)
        if storing and writes.refuses():
            return otherwise
        made = breaker.calling(operation, judge=self._judge)
        try:
            with made:
                answer = self.ask(call)
        except BreakerOpenError:
            return otherwise
        except BaseException as error:
            refused = operation in CHANGING and failures.refuses_writes(error)
            if refused:
                _note_write(writes, Outcome.FAILURE, operation, error)
            if failures.timed_out(error):
                give_up_cache()
            if failures.is_callers(error, operation):
                raise
            if made.outcome is Outcome.ANSWERED and not refused:
                registry.store().counters.add("calls", self._breaker, "decode", "failure")
            # A breaker logs its failures, once for each cause. In a command no breaker counts, so log here.
            if not registry.is_server() or not (refused or made.outcome is Outcome.FAILURE):
                log.warning("cache %s failed: %s", operation, causes.describe(error))
            return otherwise
        if storing:
            _note_write(writes, Outcome.SUCCESS, operation)
        return answer

    def ask(self, call: Callable[[], T]) -> T:
        """Make a call within its limits, past the breakers; raise its error."""
        # Connecting may take the limit, and the reply may take it again.
        with deadline_scope(2 * self._limit):
            faults.inject(
                self._breaker, limit=self._limit, error=redis.ConnectionError, timeout=redis.TimeoutError
            )
            return call()

    def note_undecodable(self, key: str, error: Exception) -> None:
        """Count and log an entry that `codec` did not write; its reader takes it for missing."""
        registry.store().counters.add("calls", self._breaker, "decode", "failure")
        log.warning("cache entry %r is taken for missing: %s", key, error)

    def _judge(self, made: Call, error: BaseException) -> Outcome:
        if failures.timed_out(error):
            return cut_short(made.breaker.config, made.took, self._limit)
        if failures.refuses_writes(error) and made.operation in CHANGING:
            return Outcome.ANSWERED  # it answers reads; its other breaker hears of it
        return failures.classify(error, made.operation)


def _note_write(
    writes: CircuitBreaker, outcome: Outcome, operation: str, error: BaseException | None = None
) -> None:
    """Count a call for the breaker of writes. It takes no permit, since the steward sends the probes."""
    with suppress(RejectedError):
        writes.settle(writes.admit(), outcome, error=error, operation=operation)
