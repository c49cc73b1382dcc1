"""Error reports: an outage is none, and no request waits for the mail of one."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.log import AdminEmailHandler as DjangosHandler

from resilience import registry
from resilience.alerts import mails
from resilience.alerts.outbox import Outbox
from resilience.request.scope import current_scope

logger = logging.getLogger("resilience.refused")

# Reports that may wait for the mail server; with a further one the oldest is dropped.
_ROOM = 50


def install() -> None:
    """Keep outages out of the error reports; in a server, send those by mail beside the request.

    Django's own handler is replaced wherever it hangs, with its level, filters and options; a subclass is the
    project's own and stays.
    """
    django = logging.getLogger("django.request")
    if not any(isinstance(one, OutagesAreNoErrors) for one in django.filters):
        django.addFilter(OutagesAreNoErrors())
    if not registry.is_server():
        return
    named = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    for logger in [logging.root, *named]:
        for handler in logger.handlers:
            if type(handler) is DjangosHandler:
                logger.handlers[logger.handlers.index(handler)] = AdminEmailHandler.instead_of(handler)


def refused(request: HttpRequest) -> None:
    """Write the one line of a request that was answered 503."""
    logger.warning("503: %s %r", request.method, request.path, extra={"status_code": 503})


class OutagesAreNoErrors(logging.Filter):
    """Drop the error that Django logs of a 503, and mails to `ADMINS`: the first middleware has a line of it.

    It drops that of an outage in another middleware too: Django makes a 500 of it, and the first middleware
    makes that a 503.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything else pass."""
        if getattr(record, "status_code", None) == 503:
            return False
        scope = current_scope()
        error = record.exc_info[1] if record.exc_info else None
        return scope is None or error is None or scope.outage is not error


@dataclass(frozen=True, slots=True)
class _Report:
    subject: str
    message: str
    html: str | None
    backend: str | None


class AdminEmailHandler(DjangosHandler):
    """Django's handler, whose mails are sent by a thread: a request waits for the report, not for its mail.

    A project may name it in `LOGGING` in the place of Django's.
    """

    @classmethod
    def instead_of(cls, handler: DjangosHandler) -> AdminEmailHandler:
        """Return one that does the same as Django's."""
        made = cls(handler.include_html, handler.email_backend)
        made.reporter_class = handler.reporter_class
        made.setLevel(handler.level)
        made.setFormatter(handler.formatter)
        for one in handler.filters:
            made.addFilter(one)
        return made

    def send_mail(self, subject: Any, message: Any, *args: Any, **kwargs: Any) -> None:
        """Queue the mail; one that does not get out is tried again, then counted."""
        _outbox().put(_Report(str(subject), str(message), kwargs.get("html_message"), self.email_backend))


def flush() -> None:
    """Wait until every report was sent or given up."""
    if _made is not None:
        _made.join()


def _send(report: _Report) -> None:
    mails.send_to_admins(report.subject, report.message, html=report.html, backend=report.backend)


_made: Outbox[_Report] | None = None  # Guarded by _lock.
_lock = threading.Lock()


def _outbox() -> Outbox[_Report]:
    global _made
    with _lock:
        if _made is None:
            _made = Outbox("error_mail", _send, room=_ROOM)
        return _made


def _forget_after_fork() -> None:
    global _lock, _made
    _lock, _made = threading.Lock(), None


os.register_at_fork(after_in_child=_forget_after_fork)
