"""Error reports: an outage makes none, and no request waits until one is mailed."""

from __future__ import annotations

import logging
import os
from typing import Any

from django.http import HttpRequest
from django.utils.log import AdminEmailHandler as DjangosHandler

from resilience import conf, registry
from resilience.alerts import mails
from resilience.alerts.outbox import Outbox
from resilience.request.scope import current_scope

logger = logging.getLogger("resilience.refused")

# The most reports that wait for the mail server. One more takes the place of the oldest.
_ROOM = 50


def install() -> None:
    """Keep outages out of the error reports; in a server process, let a thread mail the reports.

    Each `AdminEmailHandler` of Django's is replaced by ours, with the same level, filters and options. A
    subclass of it is the project's own, and stays.
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
    """Write the one log line of a request that was answered 503."""
    logger.warning("503: %s %r", request.method, request.path, extra={"status_code": 503})


class OutagesAreNoErrors(logging.Filter):
    """Drop Django's log line of a 503: it is an error, which is mailed to `ADMINS`. `refused` writes ours.

    This includes an outage in another middleware, of which Django makes a 500 and our middleware a 503.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for a record of a 503 or of the outage that ended this request, else True."""
        if conf.shadow():
            return True
        if getattr(record, "status_code", None) == 503:
            return False
        scope = current_scope()
        error = record.exc_info[1] if record.exc_info else None
        return scope is None or error is None or scope.outage is not error


class AdminEmailHandler(DjangosHandler):
    """Django's handler, but a thread sends the mails: a request waits for the report, not for its mail.

    A project may name it in `LOGGING` instead of Django's.
    """

    @classmethod
    def instead_of(cls, handler: DjangosHandler) -> AdminEmailHandler:
        """Return a handler with the options, level and filters of Django's."""
        made = cls(handler.include_html)
        made.email_backend = _mailer(handler)
        made.reporter_class = handler.reporter_class
        made.setLevel(handler.level)
        made.setFormatter(handler.formatter)
        for one in handler.filters:
            made.addFilter(one)
        return made

    def send_mail(self, subject: Any, message: Any, *args: Any, **kwargs: Any) -> None:
        """Queue the mail. If it cannot be sent, it is tried again, and counted when it is given up."""
        report = {"subject": str(subject), "message": str(message), "html": kwargs.get("html_message")}
        _outbox.put({**report, "backend": _mailer(self)})


def _mailer(handler: DjangosHandler) -> str | None:
    """Return what sends the mails of a handler; since Django 6.1 it may be a name in `MAILERS`."""
    return getattr(handler, "using", None) or handler.email_backend


def flush() -> None:
    """Wait until every report is sent or given up."""
    _outbox.join()


def _new() -> Outbox[dict[str, Any]]:
    """Return an outbox for what `mails.send_to_admins` takes."""
    return Outbox("error_mail", lambda report: mails.send_to_admins(**report), room=_ROOM)


_outbox = _new()


def _renew_after_fork() -> None:
    global _outbox
    _outbox = _new()  # The thread is the parent's.


os.register_at_fork(after_in_child=_renew_after_fork)
