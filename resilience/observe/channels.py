"""Where alerts go: log, signal, e-mail, webhook. One that fails costs the others nothing."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import requests
from django.conf import settings
from django.core.mail import mail_admins

from resilience import conf, registry, signals
from resilience.http.transport import BoundedAdapter
from resilience.primitives import deadline_scope

logger = logging.getLogger("resilience.alerts")

# What one message to a webhook may take, in seconds: to connect, and in all.
_CONNECT, _TOTAL = 2.0, 5.0


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
    if signals.alert.has_listeners():
        _outbox("signal", _signal).put(alert)
    config = conf.alerts()
    if config.mail and settings.ADMINS:
        _outbox("mail", _mail).put(alert)
    if config.webhook_url:
        _outbox("webhook", _webhook).put(alert)


class Outbox:
    """A bounded queue and the thread that empties it into one channel."""

    def __init__(self, name: str, deliver: Callable[[Alert], None], room: int) -> None:
        self.name = name
        self._deliver = deliver
        self._waiting: queue.Queue[Alert] = queue.Queue(room)
        self._failing = self._full = False
        threading.Thread(target=self._work, name=f"resilience-alerts-{name}", daemon=True).start()

    def put(self, alert: Alert) -> None:
        """Queue an alert; one that finds no room is dropped and counted."""
        try:
            self._waiting.put_nowait(alert)
            self._full = False
        except queue.Full:
            registry.store().counters.add("alerts", self.name, "dropped")
            if not self._full:
                logger.warning("alerts by %s find no room, are dropped and counted", self.name)
            self._full = True

    def join(self) -> None:
        """Wait until everything was tried."""
        self._waiting.join()

    def _work(self) -> None:
        while True:
            alert = self._waiting.get()
            try:
                self._try(alert)
            finally:
                self._waiting.task_done()

    def _try(self, alert: Alert) -> None:
        outcome = "success"
        try:
            self._deliver(alert)
        except Exception as error:  # whatever it is, the next alert may get through
            outcome = "failure"
            if not self._failing:
                # By class alone: the message may hold the webhook's address, which is a secret.
                name = type(error).__name__
                logger.error("no alert gets out by %s: %s; this is counted", self.name, name)  # noqa: TRY400
        else:
            if self._failing:
                logger.info("alerts get out by %s again", self.name)
        self._failing = outcome == "failure"
        registry.store().counters.add("alerts", self.name, outcome)


_outboxes: dict[str, Outbox] = {}
# Guards _outboxes.
_lock = threading.Lock()


def _outbox(name: str, deliver: Callable[[Alert], None]) -> Outbox:
    with _lock:
        found = _outboxes.get(name)
        if found is None:
            found = _outboxes[name] = Outbox(name, deliver, conf.alerts().queue)
        return found


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
        raise failed[0]


def _mail(alert: Alert) -> None:
    lines = [
        str(alert),
        "",
        f"host: {alert.host}",
        *(f"{name}: {fact}" for name, fact in alert.facts.items()),
    ]
    mail_admins(f"{alert.kind}: {alert}"[:150], "\n".join(lines))


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
            if response.status_code >= 300:
                raise requests.HTTPError(f"{response.status_code} instead of 200")


def _forget_after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _outboxes.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
