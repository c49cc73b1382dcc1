"""What a guarded call can end with when it is the guard, not the dependency, that ends it."""

from typing import TYPE_CHECKING, Literal

from circuitbreaker import CircuitBreakerError

if TYPE_CHECKING:
    from circuitbreaker import CircuitBreaker


class ResilienceError(Exception):
    """Root of everything that this package raises."""


class RejectedError(ResilienceError):
    """The call was not made.

    `name` says which guard refused, `retry_after` in how many seconds asking again makes sense,
    `reason` why, in a few words that may be shown to a client.
    """

    http_status = 503

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

    Also an error of `circuitbreaker`, so that code written for that library goes on working.
    """

    if TYPE_CHECKING:

        def __init__(self, breaker: "CircuitBreaker", name: str, retry_after: float, reason: str) -> None: ...

    else:
        # It only keeps its arguments, which halves its price: refusals are what an outage is made of.
        __init__ = Exception.__init__

    @property
    def _circuit_breaker(self) -> "CircuitBreaker":  # type: ignore[override]
        breaker: CircuitBreaker = self.args[0]
        return breaker


class BulkheadFullError(RejectedError):
    """As many calls run and wait as the bulkhead has room for."""


class DeadlineExceededError(ResilienceError):
    """The budget of the work at hand is spent.

    With `before_call` it was spent before the dependency was asked: never counted against it.
    """

    def __init__(self, message: str = "the deadline has passed", *, before_call: bool = False) -> None:
        super().__init__(message)
        self.before_call = before_call


class TierUnavailableError(ResilienceError):
    """Raise it in a tier that has nothing to answer with; `reason` is a word for that.

    `missing`: it holds no such answer. `stale`: what it holds is too old. `unavailable`: it cannot be read.
    """

    def __init__(
        self, message: str, *, reason: Literal["missing", "stale", "unavailable"] = "missing"
    ) -> None:
        super().__init__(message)
        self.reason = reason


class StoreUnavailableError(ResilienceError):
    """No host store can be had; the message says why, and as which user or in which container to run."""
