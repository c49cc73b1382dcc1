"""The channels of alerts: log, signal, e-mail, webhook. A failure of one does not affect the others."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from django.conf import settings

from resilience import conf, signals
from resilience.alerts import mails
from resilience.alerts.outbox import Outbox, RefusedError
from resilience.alerts.spool import Spool

logger = logging.getLogger("resilience.alerts")


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """Something that people should know.

    `kind` says it in a word or two, `text` in a sentence; `count` is how many times it happened, `at` is wall
    seconds.
    """

    kind: str
    breaker: str = ""
    text: str
    count: int = 1
    at: float
    host: str
    serious: bool = True
    """Whether somebody has to act; not after a recovery."""
    facts: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.breaker}: {self.text}" if self.breaker else self.text


def send(alert: Alert) -> None:
    """Write an alert into the log, and queue it for the other channels. Returns at once and never raises."""
    logger.log(
        logging.WARNING if alert.serious else logging.INFO,
        "%s (%s)",
        alert,
        alert.kind,
        extra={"alert": alert.kind, "breaker": alert.breaker, "count": alert.count},
    )
    for name, deliver in _in_use():
        _outbox(name, deliver).put(alert)


_outboxes: dict[str, Outbox[Alert]] = {}  # Each step on it is one that no other thread interrupts.


def _outbox(name: str, deliver: Callable[[Alert], None]) -> Outbox[Alert]:
    if name in _outboxes:
        return _outboxes[name]
    config = conf.alerts()
    spool = Spool(conf.events_dir() / "alerts" / name, asdict, lambda known: Alert(**known))
    made = Outbox(name, deliver, room=config.queue, lasts=config.retry_for, spool=spool)
    return _outboxes.setdefault(name, made)


def take_over() -> None:
    """Queue the alerts that another process of the host left unsent."""
    for name, deliver in _in_use():
        _outbox(name, deliver).take_over()


def go_on() -> None:
    """Start the channels that have alerts to send and could not start a thread before."""
    for outbox in list(_outboxes.values()):
        outbox.start()


def _in_use() -> list[tuple[str, Callable[[Alert], None]]]:
    """Return name and function of each channel that the project uses."""
    config = conf.alerts()
    channels = (
        ("signal", _signal, signals.alert.has_listeners()),
        ("mail", _mail, config.mail and settings.ADMINS),
        ("webhook", _webhook, config.webhook_url),
    )
    return [(name, deliver) for name, deliver, used in channels if used]


def flush() -> None:
    """Wait until every channel has sent or given up all its alerts."""
    for outbox in list(_outboxes.values()):
        outbox.join()


def _signal(alert: Alert) -> None:
    # Django logs a receiver's exception. RefusedError counts it, and no receiver is called twice.
    failed = [
        error
        for _, error in signals.alert.send_robust(sender=Alert, alert=alert)
        if isinstance(error, Exception)
    ]
    if failed:
        raise RefusedError(type(failed[0]).__name__) from failed[0]


def _mail(alert: Alert) -> None:
    lines = [
        str(alert),
        "",
        f"host: {alert.host}",
        *(f"{name}: {fact}" for name, fact in alert.facts.items()),
    ]
    mails.send_to_admins(f"{alert.kind}: {alert}"[:150], "\n".join(lines))


def _webhook(alert: Alert) -> None:
    from resilience.alerts import webhook  # only who has one needs a client

    webhook.post(conf.alerts().webhook_url, f"[{conf.namespace()} on {alert.host}] {alert}")


os.register_at_fork(after_in_child=_outboxes.clear)
