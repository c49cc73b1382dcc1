"""Ask each dependency once, all at the same time, and wait for none longer than the limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from resilience import causes, conf
from resilience.primitives import deadline_scope

LIMIT = 1.0
"""Seconds that one ping may take."""


@dataclass(frozen=True, slots=True)
class Ping:
    """The result of one ping: `error` is empty if it was answered, `seconds` is what it took."""

    seconds: float
    error: str = ""


def ask_all(limit: float = LIMIT, *, names: Collection[str] | None = None) -> dict[str, Ping]:
    """Ping all dependencies that have a ping or a probe (or those of `names`), within `limit` seconds.

    Each is asked in a daemon thread of its own, so that a driver that hangs, in a name look-up for example,
    delays no other.
    """
    answers: dict[str, Ping] = {}
    declared = conf.probes("probe") | conf.probes("ping")
    chosen = conf.declared_breakers() if names is None else names
    asked = {name: ask for name, ask in declared.items() if name in chosen}
    threads = [
        threading.Thread(target=_ask, args=(name, ask, limit, answers), name=f"ping-{name}", daemon=True)
        for name, ask in asked.items()
    ]
    until = time.monotonic() + limit
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return {name: answers.get(name, Ping(limit, f"no answer within {limit:g} s")) for name in asked}


def _ask(name: str, ask: Callable[[], object], limit: float, answers: dict[str, Ping]) -> None:
    began = time.monotonic()
    try:
        with deadline_scope(limit):
            ask()
    except Exception as error:
        answers[name] = Ping(time.monotonic() - began, causes.describe(error))
    else:
        answers[name] = Ping(time.monotonic() - began)
