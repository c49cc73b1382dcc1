"""Refusals say who refused, why and until when."""

from circuitbreaker import CircuitBreaker, CircuitBreakerError

from resilience.primitives import (
    BreakerOpenError,
    BulkheadFullError,
    DeadlineExceededError,
    RejectedError,
    ResilienceError,
    TierUnavailableError,
)


class TestRejected:
    def test_says_who_why_and_when_to_come_again(self) -> None:
        error = BulkheadFullError("read", retry_after=0.1, reason="full")
        assert isinstance(error, RejectedError)
        assert str(error) == "read: full, try again in 0.1 s"
        assert error.http_status == 503

    def test_by_a_breaker_is_an_error_of_the_library_too(self) -> None:
        error = BreakerOpenError(CircuitBreaker(name="database"), "database", 12.34, "open")
        assert isinstance(error, CircuitBreakerError)
        assert isinstance(error, ResilienceError)
        assert (error.name, error.retry_after, error.reason) == ("database", 12.34, "open")
        assert str(error) == "database: open, try again in 12.3 s"


class TestDeadline:
    def test_knows_whether_the_call_was_made(self) -> None:
        assert not DeadlineExceededError().before_call
        assert DeadlineExceededError(before_call=True).before_call
        assert str(DeadlineExceededError("2.0 s are over")) == "2.0 s are over"


class TestTier:
    def test_without_an_answer_says_in_a_word_why(self) -> None:
        assert TierUnavailableError("nothing is stored").reason == "missing"
        assert TierUnavailableError("it is damaged", reason="unavailable").reason == "unavailable"
