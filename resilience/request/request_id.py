"""One name for a request, in every line that is logged on its way and in its answer."""

from __future__ import annotations

import logging
import os
import re
from contextvars import ContextVar

from django.http import HttpRequest

HEADER = "X-Request-ID"
# What a client may choose for itself: nothing that could pass for another line or field of a log.
_CLIENTS_OWN = re.compile(r"[A-Za-z0-9-]{1,64}")

_current: ContextVar[str] = ContextVar("resilience_request_id", default="")


class request_id:  # noqa: N801 - it reads as what `with` takes, and each request pays for it
    """Name the request within the block: as its client did, if that is well-formed, else by a new id."""

    __slots__ = ("_name", "_token")

    def __init__(self, request: HttpRequest) -> None:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        self._name = given if given and _CLIENTS_OWN.fullmatch(given) else os.urandom(16).hex()

    def __enter__(self) -> str:
        self._token = _current.set(self._name)
        return self._name

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


class RequestIdFilter(logging.Filter):
    """Add `request_id` to what is logged in the course of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass."""
        if name := _current.get():
            record.request_id = name
        return True
