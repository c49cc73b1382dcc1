"""Post a text to a webhook, in the form that Slack and many others understand."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import requests

from resilience.alerts.outbox import LaterError, RefusedError
from resilience.http.transport import BoundedAdapter
from resilience.primitives import deadline_scope

# Seconds that a message may take: to connect, and altogether.
_CONNECT, _TOTAL = 2.0, 5.0
# The status codes below 500 after which another try may succeed.
_TEMPORARY = (408, 425, 429)
# The status codes with which a webhook may say by `Retry-After` when to try again.
_ASK_LATER = (429, 503)


def post(url: str, text: str) -> None:
    """Post one line of text.

    Raises `LaterError` or `RefusedError` if the webhook says so, `requests.RequestException` otherwise.
    """
    for character, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, escaped)
    with requests.Session() as session, deadline_scope(_TOTAL):
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, BoundedAdapter())
        with session.post(
            url, json={"text": text}, timeout=(_CONNECT, _TOTAL), allow_redirects=False, stream=True
        ) as response:
            said = f"{response.status_code} instead of 200"
            if response.status_code in _ASK_LATER and (seconds := asked_pause(response.headers)) is not None:
                raise LaterError(said, seconds)
            if response.status_code in _TEMPORARY or response.status_code >= 500:
                raise requests.HTTPError(said)
            if response.status_code >= 300:
                raise RefusedError(said)


def asked_pause(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks for, in either form (RFC 9110 §10.2.3); None without one.

    A date is compared with the server's own `Date` if it sends one, since its clock may differ from ours.
    """
    asked = headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdecimal():
        return float(asked[:9])
    try:
        until = parsedate_to_datetime(asked).timestamp()
    except ValueError:
        return None
    try:
        now = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except ValueError:
        now = time.time()
    return max(0.0, until - now)
