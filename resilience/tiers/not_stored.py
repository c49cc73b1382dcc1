"""Why a live answer was not stored for others: each time is counted, each cause is logged once."""

from __future__ import annotations

import logging
import os

from resilience import registry

logger = logging.getLogger("resilience.tiers")

# All reasons. What the view read of the request: `account`, `session`, `messages`, `csrf`, `cookie`, `header`
# (one that is not in its key), `attribute` (of the request, set by other middleware). What the answer has:
# `sets_cookie`, `streaming`, `vary`, `cache_control`, `encoding`. What else: `body` (the request has one),
# `host` (it is not allowed), `argument` (of the view, no plain value), `wrote` (rows, which may be of this
# client alone), `model` (rows whose changes raise no catalogue version), `response_attribute` (of the answer,
# which other middleware may read, and which is not stored).
REASONS = (
    *("account", "session", "messages", "csrf", "cookie", "header", "attribute"),
    *("sets_cookie", "streaming", "vary", "cache_control", "encoding", "body", "host", "argument"),
    *("wrote", "model", "response_attribute"),
)

_MOST = 256  # causes that a process remembers
_told: set[tuple[str, str, str]] = set()


def note(view: str, reason: str, what: str) -> None:
    """Count that an answer of `view` was not stored, and log it if this process has not told the cause."""
    registry.store().counters.add("not_stored", reason)
    cause = (view, reason, what[:80])
    if cause not in _told and len(_told) < _MOST:
        _told.add(cause)
        logger.info("the answer of %s is not stored for others (%s): %s", *cause)


def forget() -> None:
    """Forget which causes this process has logged."""
    _told.clear()


os.register_at_fork(after_in_child=forget)
