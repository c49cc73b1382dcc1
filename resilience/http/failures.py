"""Decide what an error of a call to a partner counts as."""

from collections.abc import Callable
from typing import Self

import requests

from resilience.primitives import (
    BreakerOpenError,
    BulkheadFullError,
    DeadlineExceededError,
    Outcome,
    RejectedError,
)


class PartnerError(requests.RequestException):
    """A partner did not give what was asked for. The errors below derive from this."""


class AnswerTooLargeError(PartnerError):
    """The answer has more bytes than `most_bytes`."""


class UnexpectedAnswerError(PartnerError):
    """The answer has status 200, but not the expected content."""


class CutShortError(PartnerError, requests.Timeout):
    """The request's own deadline ended the wait before the partner had its full time.

    Note [A wait that we cut short]
    A server is not to blame when the request that waits has no time left. Yet a frozen server must be
    noticed, even where all requests are in a hurry. So such a wait is a slow call when the server had at
    least half of its full time, and is ignored when it had less. It is never a failure.
    """


class PartnerRefusedError(BreakerOpenError, PartnerError):
    """The breaker refused the call. Code that catches the errors of requests catches it, too."""

    request = response = None

    # Not that of OSError, from which the errors of requests derive: it would take our arguments for its own.
    __init__ = Exception.__init__

    @classmethod
    def of(cls, refusal: BreakerOpenError) -> Self:
        """Return a breaker's refusal as this class."""
        make: Callable[..., Self] = cls
        return make(refusal._circuit_breaker, refusal.name, refusal.retry_after, refusal.reason)


class PartnerBusyError(BulkheadFullError, PartnerError):
    """The pool of the calls to partners is full. Code that catches the errors of requests catches it, too."""

    request = response = None

    def __init__(self, name: str, *, retry_after: float, reason: str) -> None:
        Exception.__init__(self, None, name, retry_after, reason)


class PartnerDeadlineError(DeadlineExceededError, PartnerError, requests.Timeout):
    """The request's time was up before the partner had its full time. It is a time-out of requests, too."""


def classify(error: BaseException) -> Outcome:
    """Return what `error` counts as."""
    match error:
        case RejectedError() | DeadlineExceededError():
            return Outcome.IGNORED
        case CutShortError():
            return Outcome.SLOW
        case requests.HTTPError(response=response) if response is not None and response.status_code < 500:
            return Outcome.ANSWERED
        # A mistake of the caller, found before anything was sent: no URL, or a body that JSON cannot hold.
        case ValueError() | requests.exceptions.InvalidJSONError():
            return Outcome.IGNORED
        # Refused, lost, timed out, broken TLS, 5xx, too large, not what was expected.
        case requests.RequestException():
            return Outcome.FAILURE
        case _:
            return Outcome.IGNORED
