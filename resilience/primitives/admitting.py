"""Admit calls, and take note of how they ended: the ground of the breaker, for who measures by himself."""

from collections.abc import Callable
from math import inf
from typing import Any

import circuitbreaker

from .cell import Admission
from .clock import SYSTEM_CLOCK, Clock
from .config import BreakerConfig
from .errors import BreakerOpenError, DeadlineExceededError, RejectedError
from .gate import Gate
from .noting import Describe, describe
from .own import PROCESSOR, own_trouble
from .state import Outcome
from .store import ALONE, LocalStore, Store
from .ticking import TICKS

Classify = Callable[[BaseException], Outcome]

# Note [A refusal lets go of itself]
# An error's traceback holds the frame that raised it, and a variable of that frame holds the error: both
# would live until the next collection, at each refused call of an outage. So the variable goes first.

# Looking a member up in its class costs as much as comparing it five times.
_SUCCESS, _FAILURE = Outcome.SUCCESS, Outcome.FAILURE
_OPENED = circuitbreaker.CircuitBreaker.opened


class AdmittingBreaker(circuitbreaker.CircuitBreaker):
    """A breaker that one asks before a call, and tells after it."""

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
        describe: Describe = describe,
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
            describe=describe,
            fast=not opinionated,
        )
        self._cell = self._gate.cell
        self._enter = self._enter_by_opinion if opinionated else self._gate.admit

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

        May be said of many calls of one admission. A success that took longer than `slow_after` is slow. What
        was this process's own trouble (`own`) is ignored, whatever it would count as.
        """
        if outcome is _SUCCESS and took > self._slow_after:
            outcome = Outcome.SLOW
        if outcome is not _SUCCESS:
            outcome = self._fair(admission, outcome, error, took)
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
        return self._gate.refusal() is not None

    def raise_if_refusing(self) -> None:
        """Raise the `BreakerOpenError` that a call would meet now, without taking a permit."""
        refusal = self._gate.refusal()
        if refusal is not None:
            raise self._gate.refuse(*refusal)

    def _enter_by_opinion(self) -> Admission | BreakerOpenError:
        if self.opened:
            record, now = self._gate.record()
            return BreakerOpenError(self, str(self), max(0.0, record.until - now), "open")
        return self._gate.admit()

    def _fair(
        self, admission: Admission, outcome: Outcome, error: BaseException | None, took: float
    ) -> Outcome:
        """Return `outcome`, or IGNORED where it says more of this process than of the dependency."""
        if not admission.counts or outcome is Outcome.ANSWERED:
            return outcome
        if error is not None:
            lacked = own_trouble(error, took)
        else:
            lacked = PROCESSOR if outcome is Outcome.SLOW and TICKS.late_within(took) else None
        if lacked is None:
            return outcome
        self._gate.note_own(lacked, error)
        return Outcome.IGNORED

    def _failed(self, admission: Admission, error: BaseException, took: float) -> None:
        outcome = self._fair(admission, self._classify(error), error, took)
        if self._gate.settle(admission, outcome, error, "call") and outcome is _FAILURE:
            self._last_failure = error

    def _classify_expected(self, error: BaseException) -> Outcome:
        """What is expected is a failure; a call that never reached the dependency says nothing about it."""
        if isinstance(error, RejectedError) or not isinstance(error, Exception):
            return Outcome.IGNORED
        if isinstance(error, DeadlineExceededError) and error.before_call:
            return Outcome.IGNORED
        return Outcome.FAILURE if self.is_failure(type(error), error) else Outcome.ANSWERED
