"""Send mail to `ADMINS` by a mail server that may hang."""

from __future__ import annotations

import smtplib
from typing import Any

from django.conf import settings
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.utils.module_loading import import_string

from resilience import causes
from resilience.alerts.outbox import RefusedError

# Seconds to wait for each answer of the mail server, if EMAIL_TIMEOUT is None: Django would wait for ever.
_TIMEOUT = 10.0


def send_to_admins(
    subject: str, message: str, *, html: str | None = None, backend: str | None = None
) -> None:
    """Send a mail to `ADMINS`.

    Raises `RefusedError` if the mail server refuses it for good, and whatever the backend raises otherwise.
    """
    letter = EmailMultiAlternatives(
        f"{settings.EMAIL_SUBJECT_PREFIX}{subject}", message, settings.SERVER_EMAIL, _admins()
    )
    if html:
        letter.attach_alternative(html, "text/html")
    connection = _connection(backend)
    if getattr(connection, "timeout", _TIMEOUT) is None:
        connection.timeout = _TIMEOUT
    try:
        if letter.to:
            connection.send_messages([letter])
    except smtplib.SMTPResponseException as error:
        if error.smtp_code >= 500:
            raise RefusedError(causes.describe(error)) from error
        raise
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        if min(codes, default=0) >= 500:
            raise RefusedError(causes.describe(error)) from error
        raise


def _admins() -> list[str]:
    """Return the addresses of `ADMINS`, which are texts, or pairs of name and address."""
    return [admin if isinstance(admin, str) else admin[1] for admin in settings.ADMINS]


def _connection(named: str | None) -> Any:
    """Return a connection; `named` is what a handler of `LOGGING` names, else it is the usual one.

    Until Django 6.1 that is the path of a class. Since then it is a name in `MAILERS`, if there are any.
    """
    mailers: Any = getattr(mail, "mailers", None)
    if mailers is None:
        return mail.get_connection(named)
    if named is None:
        return mailers.default
    return mailers[named] if hasattr(settings, "MAILERS") else import_string(named)()
