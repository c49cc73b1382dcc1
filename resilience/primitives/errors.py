"""The errors with which a guard, not the dependency, ends a call."""

from typing import TYPE_CHECKING, Literal

from circuitbreaker import CircuitBreakerError

if TYPE_CHECKING:
    from circuitbreaker import CircuitBreaker


class ResilienceError(Exception):
    """The base class of all errors of this package."""


class RejectedError(ResilienceError):
    """The call was not made.

    `name` is that of the guard that refused. `retry_after` is in how many seconds to try again. `reason` is
    in a few words, which a client may see. With `busy` what was to be called is well, and others were first.
    """

    http_status = 503
    busy = False

    def __init__(self, name: str, *, retry_after: float, reason: str) -> None:
        super().__init__(None, name, retry_after, reason)

    @property
    def name(self) -> str:
        name: str = self.args[1]
        return name

    @property
    def retry_after(self) -> float:
        seconds: float = self.args[2]
        return seconds

    @property
    def reason(self) -> str:
        reason: str = self.args[3]
        return reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}, try again in {self.retry_after:.1f} s"


class BreakerOpenError(RejectedError, CircuitBreakerError):
    """A breaker refused the call: it is open, isolated, or its probes are under way.

    It is also a `CircuitBreakerError` of `circuitbreaker`, for code that was written for that library.
    """

    if TYPE_CHECKING:

        def __init__(self, breaker: "CircuitBreaker", name: str, retry_after: float, reason: str) -> None: ...

    else:
        # It only keeps its arguments, which halves its cost: an outage has many refusals.
        __init__ = Exception.__init__

    @property
    def _circuit_breaker(self) -> "CircuitBreaker":  # type: ignore[override]
        breaker: CircuitBreaker = self.args[0]
        return breaker


class BulkheadFullError(RejectedError):
    """The bulkhead has no room: as many calls run and wait as may."""

    busy = True


class DeadlineExceededError(ResilienceError):
    """The budget of the current work is spent.

    With `before_call` it was spent before the dependency was called, so it never counts as a failure.
    """

    def __init__(self, message: str = "the deadline has passed", *, before_call: bool = False) -> None:
        super().__init__(message)
        self.before_call = before_call


class TierUnavailableError(ResilienceError):
    """A tier has no answer; `reason` is why, in one word.

    `missing`: it holds no such answer. `stale`: what it holds is too old. `unavailable`: it cannot be read.
    """

    def __init__(
        self, message: str, *, reason: Literal["missing", "stale", "unavailable"] = "missing"
    ) -> None:
        super().__init__(message)
        self.reason = reason


class StoreUnavailableError(ResilienceError):
    """There is no host store; the message says why, and as which user or in which container to run."""
