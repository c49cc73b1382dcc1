"""The host's steward. The middleware calls `start` at a process's first request."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from resilience import conf, registry
from resilience.primitives import SYSTEM_CLOCK, TICKS
from resilience.primitives.store.latest import SUSPECTED
from resilience.steward.chores import Chore
from resilience.steward.runner import Duty, Steward
from resilience.steward.watch import Watch

logger = logging.getLogger("resilience.steward")

_lock = threading.Lock()
_started: Steward | None = None  # Guarded by _lock.
_wanted = True


def start() -> None:
    """Start this process's ticks and standby, once; a forked child starts its own, a command has neither."""
    global _started
    if _started is not None or not _wanted or not registry.is_server():
        return
    with _lock:
        if _started is None:
            standby = Steward(registry.store(), duties, clock=SYSTEM_CLOCK)
            try:
                TICKS.start()
                standby.start()
            except RuntimeError as error:  # no thread can be had; the next request tries again
                logger.warning("process %s has no standby: %s", os.getpid(), error)
                return
            _started = standby


@contextmanager
def none() -> Iterator[None]:
    """Let requests of this process start no steward within the block."""
    global _wanted
    before, _wanted = _wanted, False
    try:
        yield
    finally:
        _wanted = before


def stop() -> None:
    """End this process's standby; the next request starts another."""
    global _started
    with _lock:
        ended, _started = _started, None
    if ended is not None:
        ended.stop()


def duties(epoch: int) -> list[Duty]:
    """Make the duties of the steward of this epoch: the watches, then the chores of the settings."""
    store = registry.store()
    chores = [Chore(config, config.load(), epoch, store, SYSTEM_CLOCK) for config in conf.chores()]
    return [*watches(), *chores]


def watches() -> list[Watch]:
    """Make the watch of each breaker whose entry in `RESILIENCE` names a `ping` or a `probe`."""
    limit = conf.deadline("probe")
    return [
        Watch(
            registry.breaker(name),
            ask,
            limit=limit,
            clock=SYSTEM_CLOCK,
            pinged=kind == "ping",
            silent=partial(_last_silence, name),
        )
        for kind in ("ping", "probe")
        for name, ask in conf.probes(kind).items()
    ]


def _last_silence(name: str) -> float:
    latest = registry.store().silences.latest
    return max(latest(name), latest(SUSPECTED.format(name=name)))


def _forget_after_fork() -> None:
    global _lock, _started
    _lock = threading.Lock()
    _started = None


os.register_at_fork(after_in_child=_forget_after_fork)
