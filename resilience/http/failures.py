"""Say what an error of a partner's API means for its breaker."""

import requests

from resilience.primitives import DeadlineExceededError, Outcome, RejectedError


class PartnerError(requests.RequestException):
    """A partner did not give what was asked for. Root of the errors below."""


class AnswerTooLargeError(PartnerError):
    """The answer has more bytes than we are willing to read."""


class UnexpectedAnswerError(PartnerError):
    """The answer came with a good status, and is not what it should be."""


class CutShortError(PartnerError, requests.Timeout):
    """The request's own deadline ended the wait, before the partner had the time that it may have.

    Note [A wait that we cut short]
    A server is not to blame when the request that waits has no time left. Yet a frozen server must be
    noticed, even where all requests are in a hurry. So such a wait is a slow call when the server had at
    least half of its full time, and says nothing about it when it had less. It is never a failure.
    """


def classify(error: BaseException) -> Outcome:
    """Return what `error` counts as."""
    match error:
        case RejectedError() | DeadlineExceededError():
            return Outcome.IGNORED
        case CutShortError():
            return Outcome.SLOW
        case requests.HTTPError(response=response) if response is not None and response.status_code < 500:
            return Outcome.ANSWERED
        # The caller's mistake, found before anything was sent: a URL that is none, a body that is no JSON.
        case ValueError() | requests.exceptions.InvalidJSONError():
            return Outcome.IGNORED
        # Refused, lost, timed out, broken TLS, 5xx, too large, not what was expected.
        case requests.RequestException():
            return Outcome.FAILURE
        case _:
            return Outcome.IGNORED
