"""`manage.py resilience try`: isolate the database for some seconds, and ask an address meanwhile."""

from __future__ import annotations

import http.client
import logging
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from django.conf import settings
from django.db import Error
from django.test import Client

from resilience import registry, steward
from resilience.causes import describe
from resilience.operate import orders
from resilience.operate.orders import Order
from resilience.primitives import LocalStore
from resilience.registry import Registry
from resilience.request.response_headers import DATA_SOURCE, DEGRADED_REASON, SYSTEM_DEGRADED
from resilience.tiers import catalogue_version

logger = logging.getLogger("resilience.adopting")

BREAKER = "database"
# The headers that say where an answer comes from, and when to ask again.
TOLD = (DATA_SOURCE, DEGRADED_REASON, "Age", "Retry-After", "Cache-Status")
_STATE = "X-Circuit-Breaker-DB"
# Seconds: between two questions, and that an answer may take.
_EVERY, _PATIENCE = 2.0, 30.0

When = Literal["before", "during", "after"]
Ask = Callable[[], "Answer"]


class TrialError(Exception):
    """Nothing is tried; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back, after `seconds`. Names of headers are as in `TOLD`."""

    status: int
    headers: Mapping[str, str]
    seconds: float
    when: When = "before"

    @property
    def answered(self) -> bool:
        """Whether it is what was asked for: neither a failure, nor a redirect, nor a refusal."""
        return 200 <= self.status < 300

    @property
    def healthy(self) -> bool:
        """Whether it is what was asked for, and no stand-in."""
        return self.answered and self.headers.get(SYSTEM_DEGRADED) != "true"

    @property
    def saw_the_order(self) -> bool:
        """Whether the process that answered knew of the isolation."""
        return self.headers.get(_STATE) == "OPEN"


def trial(ask: Ask, *, seconds: float, who: str) -> Generator[Answer]:
    """Ask once before, every 2 s during `seconds` of isolation, and once after; yield each answer.

    The isolation ends by its own time, when the iterator is closed, and after the first answer that did not
    see it. Another operator's order is left alone. Raises `TrialError` on a site that is not well or is
    steered already, and after such an answer; `OrderError`, and `StoreBusyError`.
    """
    for name, state in registry.states().items():
        if state != "CLOSED":
            raise TrialError(f"{name} is {state}: an outage is no time to try one")
    for breaker in registry.breakers().values():
        if (given := breaker.snapshot().override) is not None:
            raise TrialError(
                f"{breaker.name} is {given.kind} by {given.who or 'nobody'}: nothing was isolated"
            )
    first = ask()
    yield first
    if not first.healthy:
        raise TrialError(
            f"the address is not answered well even before ({first.status}): nothing was isolated. "
            "It takes one that answers 2xx without a stand-in, without a redirect or a sign-in."
        )
    # The number of the process tells this order from any other, also from that of another trial.
    why = f"resilience try, process {os.getpid()}"
    ends = time.monotonic() + seconds
    orders.steer(Order("isolate", [BREAKER], why, time.time() + seconds), who=who)
    try:
        while True:
            answer = _of(ask(), "during")
            yield answer
            # What comes after the end tells nothing about who answered.
            if not answer.saw_the_order and time.monotonic() < ends:
                raise TrialError(
                    "what answered did not see the isolation: it is another host, or runs with other "
                    "settings, or somebody has ended the order. The trial has ended"
                )
            rest = ends - time.monotonic()
            time.sleep(max(0.0, min(rest, _EVERY)))
            if rest <= _EVERY:
                break
    finally:
        _end(who, why)
    yield _of(ask(), "after")


def _end(who: str, why: str) -> None:
    """End the order that was given for this reason, unless another one is in force meanwhile."""
    in_force = registry.breaker(BREAKER).snapshot().override
    if in_force is None or (in_force.kind, in_force.why) == ("isolated", why):
        orders.steer(Order("auto", [BREAKER], "resilience try has ended"), who=who)
    else:
        logger.warning("the order of %s on %s stays: it came meanwhile", in_force.who or "nobody", BREAKER)


def _of(answer: Answer, when: When) -> Answer:
    return Answer(status=answer.status, headers=answer.headers, seconds=answer.seconds, when=when)


def over_http(url: str) -> Ask:
    """Return a function that asks a server of this host. Raises `TrialError` if `url` is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TrialError(f"the address cannot be read: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise TrialError("the address is neither a path nor one that begins with http:// or https://")
    # Without a user, a password and a query, which may be secrets.
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def ask() -> Answer:
        began = time.monotonic()
        connection = kind(host, port, timeout=_PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise TrialError(f"{shown} does not answer: {error}") from error
        finally:
            connection.close()
        return _answer(response.status, dict(response.getheaders()), began)

    return ask


@contextmanager
def in_process(path: str) -> Iterator[Ask]:
    """Make this process a server of its own within the block, and yield a function that asks it for `path`.

    No other process sees its breakers, and it has no steward.
    """
    client = Client(raise_request_exception=False)

    def ask() -> Answer:
        began = time.monotonic()
        response = client.get(path, secure=settings.SECURE_SSL_REDIRECT, SERVER_NAME=_host())
        if not response.streaming:
            response.content  # noqa: B018 - rendered by now
        return _answer(response.status_code, dict(response.items()), began)

    before = registry.use(Registry(store=LocalStore(role="server")))
    try:
        with steward.none():
            _learn_version()
            yield ask
    finally:
        registry.use(before)


def _learn_version() -> None:
    """Learn the catalogue version as a steward would: no answer is stored while it is unknown."""
    try:
        catalogue_version.refresh()
    except Error as error:
        logger.warning("no answer is stored, since the catalogue version is unknown: %s", describe(error))


def _answer(status: int, headers: Mapping[str, str], began: float) -> Answer:
    known = {name.lower(): value for name, value in headers.items()}
    wanted = (*TOLD, _STATE, SYSTEM_DEGRADED)
    found = {name: known[name.lower()] for name in wanted if name.lower() in known}
    return Answer(status=status, headers=found, seconds=time.monotonic() - began)


def _host() -> str:
    """Return a name by which the site lets itself be called."""
    names = [name.lstrip(".") for name in settings.ALLOWED_HOSTS if name not in ("*", "")]
    return names[0] if names else "localhost"
