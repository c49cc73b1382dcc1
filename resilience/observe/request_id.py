"""One name for a request, in every line that is logged on its way and in its answer."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest

HEADER = "X-Request-ID"
# What a client may choose for itself: nothing that could pass for another line or field of a log.
_CLIENTS_OWN = re.compile(r"[A-Za-z0-9-]{1,64}")

_current: ContextVar[str] = ContextVar("resilience_request_id", default="")


@contextmanager
def request_id(request: HttpRequest) -> Iterator[str]:
    """Name the request within the block: as its client did, if that is well-formed, else by a new id."""
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    name = given if _CLIENTS_OWN.fullmatch(given) else uuid.uuid4().hex
    token = _current.set(name)
    try:
        yield name
    finally:
        _current.reset(token)


class RequestIdFilter(logging.Filter):
    """Add `request_id` to what is logged in the course of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass."""
        if name := _current.get():
            record.request_id = name
        return True
