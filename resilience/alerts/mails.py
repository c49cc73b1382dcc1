"""Send mail to `ADMINS` by a mail server that may hang."""

from __future__ import annotations

import smtplib
from typing import Any

from django.core.mail import get_connection, mail_admins

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
    connection: Any = get_connection(backend)
    if getattr(connection, "timeout", _TIMEOUT) is None:
        connection.timeout = _TIMEOUT
    try:
        mail_admins(subject, message, connection=connection, html_message=html)
    except smtplib.SMTPResponseException as error:
        if error.smtp_code >= 500:
            raise RefusedError(causes.describe(error)) from error
        raise
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        if min(codes, default=0) >= 500:
            raise RefusedError(causes.describe(error)) from error
        raise
