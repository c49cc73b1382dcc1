"""Ask over HTTP a partner that may be down, slow or frozen: `session("external_api").get_json(…)`."""

from resilience.http.failures import (
    AnswerTooLargeError,
    CutShortError,
    PartnerBusyError,
    PartnerDeadlineError,
    PartnerError,
    PartnerRefusedError,
    UnexpectedAnswerError,
    classify,
)
from resilience.http.guarded import GuardedSession, session
