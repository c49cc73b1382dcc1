"""One request computes an answer that nobody has yet; those that ask for the same meanwhile wait for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from resilience import registry
from resilience.primitives import BulkheadFullError, current_deadline

# What a request waits for another's answer before it asks by itself, in seconds.
LONGEST_WAIT = 0.5

_lock = threading.Lock()
_flying: dict[str, threading.Event] = {}  # Guarded by _lock.


@contextmanager
def flight(key: str) -> Iterator[bool]:
    """Yield True to the request that computes, and False to others, once it is done or they waited enough.

    Waiting counts as waiting in the pool `read`: it holds a thread. Where there is no room nobody waits.
    """
    with _lock:
        landing = _flying.get(key)
        leads = landing is None
        if leads:
            landing = _flying[key] = threading.Event()
    assert landing is not None  # noqa: S101 - one of the two
    if leads:
        try:
            yield True
        finally:
            with _lock:
                del _flying[key]
            landing.set()
        return
    try:
        with registry.bulkhead("read").queued():
            deadline = current_deadline()
            left = LONGEST_WAIT if deadline is None else min(LONGEST_WAIT, deadline.remaining())
            landing.wait(left)
    except BulkheadFullError:
        pass  # Counted by the bulkhead, which refuses the next call too.
    yield False


def _land_all_after_fork() -> None:
    """Forget the flights of threads that are not in the child."""
    global _lock
    _lock = threading.Lock()
    _flying.clear()


os.register_at_fork(after_in_child=_land_all_after_fork)
