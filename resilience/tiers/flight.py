"""One request computes an answer; others that ask for the same meanwhile wait for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from resilience import registry
from resilience.primitives import BulkheadFullError, current_deadline

# Seconds that a request waits for another's answer before it asks by itself.
LONGEST_WAIT = 0.5

_flying: dict[str, threading.Event] = {}  # Each step on it is one that no other thread interrupts.


@contextmanager
def flight(key: str) -> Iterator[bool]:
    """Yield True to the request that computes; False to the others, when it is done or has taken too long.

    Waiting counts in the pool `read`, since it holds a thread. If no more may wait there, nobody waits.
    """
    mine = threading.Event()
    landing = _flying.setdefault(key, mine)
    if landing is mine:
        try:
            yield True
        finally:
            del _flying[key]
            mine.set()
        return
    try:
        with registry.bulkhead("read").queued():
            deadline = current_deadline()
            left = LONGEST_WAIT if deadline is None else min(LONGEST_WAIT, deadline.remaining())
            landing.wait(left)
    except BulkheadFullError:
        pass  # the bulkhead has counted it, and will refuse the next call too
    yield False


os.register_at_fork(after_in_child=_flying.clear)  # The threads that fly are not in the child.
