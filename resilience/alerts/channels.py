"""Where alerts go: log, signal, e-mail, webhook. One that fails costs the others nothing."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from email.utils import parsedate_to_datetime

import requests
from django.conf import settings

from resilience import conf, signals
from resilience.alerts import mails
from resilience.alerts.outbox import LaterError, Outbox, RefusedError
from resilience.alerts.spool import Spool
from resilience.http.transport import BoundedAdapter
from resilience.primitives import deadline_scope

logger = logging.getLogger("resilience.alerts")

# What one message to a webhook may take, in seconds: to connect, and in all.
_CONNECT, _TOTAL = 2.0, 5.0
# Answers of a webhook after which a further try may get through; two of them may say when.
_TEMPORARY = (408, 425, 429)
_ASK_LATER = (429, 503)


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """Something that people should know: `kind` in a word or two, `text` in a sentence, `count` how often."""

    kind: str
    breaker: str = ""
    text: str
    count: int = 1
    at: float
    host: str
    serious: bool = True
    """Whether it asks for somebody; a recovery does not."""
    facts: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.breaker}: {self.text}" if self.breaker else self.text


def send(alert: Alert) -> None:
    """Write an alert into the log, and hand it to the other channels; returns at once and never raises."""
    logger.log(
        logging.WARNING if alert.serious else logging.INFO,
        "%s (%s)",
        alert,
        alert.kind,
        extra={"alert": alert.kind, "breaker": alert.breaker, "count": alert.count},
    )
    for name, deliver in _in_use():
        _outbox(name, deliver).put(alert)


_outboxes: dict[str, Outbox[Alert]] = {}
# Guards _outboxes.
_lock = threading.Lock()


def _outbox(name: str, deliver: Callable[[Alert], None]) -> Outbox[Alert]:
    with _lock:
        found = _outboxes.get(name)
        if found is None:
            config = conf.alerts()
            spool = Spool(conf.events_dir() / "alerts" / name, asdict, lambda known: Alert(**known))
            found = Outbox(name, deliver, room=config.queue, lasts=config.retry_for, spool=spool)
            _outboxes[name] = found
        return found


def take_over() -> None:
    """Go on with what another process of the host was about to send."""
    for name, deliver in _in_use():
        _outbox(name, deliver).take_over()


def go_on() -> None:
    """Send what waits because no thread could be had when it was put."""
    for outbox in list(_outboxes.values()):
        outbox.start()


def _in_use() -> list[tuple[str, Callable[[Alert], None]]]:
    """Return the channels that the project has, by name."""
    config = conf.alerts()
    channels = (
        ("signal", _signal, signals.alert.has_listeners()),
        ("mail", _mail, config.mail and settings.ADMINS),
        ("webhook", _webhook, config.webhook_url),
    )
    return [(name, deliver) for name, deliver, used in channels if used]


def flush() -> None:
    """Wait until every channel has tried what it was given."""
    for outbox in list(_outboxes.values()):
        outbox.join()


def _signal(alert: Alert) -> None:
    # Django logs what a receiver raises; here it is counted.
    failed = [
        error
        for _, error in signals.alert.send_robust(sender=Alert, alert=alert)
        if isinstance(error, Exception)
    ]
    if failed:
        raise RefusedError(type(failed[0]).__name__) from failed[0]  # Others have heard it already.


def _mail(alert: Alert) -> None:
    lines = [
        str(alert),
        "",
        f"host: {alert.host}",
        *(f"{name}: {fact}" for name, fact in alert.facts.items()),
    ]
    mails.send_to_admins(f"{alert.kind}: {alert}"[:150], "\n".join(lines))


def _webhook(alert: Alert) -> None:
    """Post what Slack, and what understands the same, shows as a line. Raises `requests.RequestException`."""
    text = f"[{conf.namespace()} on {alert.host}] {alert}"
    for character, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, escaped)
    with requests.Session() as session, deadline_scope(_TOTAL):
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, BoundedAdapter())
        with session.post(
            conf.alerts().webhook_url,
            json={"text": text},
            timeout=(_CONNECT, _TOTAL),
            allow_redirects=False,
            stream=True,
        ) as response:
            said = f"{response.status_code} instead of 200"
            if response.status_code in _ASK_LATER and (seconds := asked_pause(response.headers)) is not None:
                raise LaterError(said, seconds)
            if response.status_code in _TEMPORARY or response.status_code >= 500:
                raise requests.HTTPError(said)
            if response.status_code >= 300:
                raise RefusedError(said)


def asked_pause(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks for, in either of its forms (RFC 9110 §10.2.3), if it does.

    A date is compared with the server's own `Date`, where that is given: its clock may not be ours.
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


def _forget_after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _outboxes.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
