"""Ask the API of a partner who may be down, slow, frozen, huge or wrong: `session("external_api")`."""

from resilience.http.failures import (
    AnswerTooLargeError,
    CutShortError,
    PartnerError,
    UnexpectedAnswerError,
    classify,
)
from resilience.http.guarded import GuardedSession, session

__all__ = [
    "AnswerTooLargeError",
    "CutShortError",
    "GuardedSession",
    "PartnerError",
    "UnexpectedAnswerError",
    "classify",
    "session",
]
