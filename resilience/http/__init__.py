"""Ask a partner over HTTP who may be down, slow or frozen, or answer too much: `session("external_api")`."""

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
