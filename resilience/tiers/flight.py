"""One request computes an answer; others that ask for the same meanwhile wait for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from resilience import registry
from resilience.primitives import BulkheadFullError, Look, wait

_flying: dict[str, threading.Event] = {}  # Each step on it is one that no other thread interrupts.


@contextmanager
def flight(key: str, look: Look) -> Iterator[bool]:
    """Yield True to the request that computes; False to the others, when it is done or has taken too long.

    Waiting counts in the pool `read`, since it holds a thread. It may take twice as long as for a place
    there, since the other request may have to wait for one. If no more may wait there, nobody waits. `look`
    raises an error if there is nothing to wait for.
    """
    mine = threading.Event()
    landing = _flying.setdefault(key, mine)
    if landing is mine:
        try:
            yield True
        finally:
            if _flying.get(key) is mine:  # In a forked child it is not.
                del _flying[key]
            mine.set()
        return
    try:
        with registry.bulkhead("read").queued() as seconds:
            wait(landing, seconds, look)
    except BulkheadFullError:
        pass  # the bulkhead has counted it, and will refuse the next call too
    yield False


os.register_at_fork(after_in_child=_flying.clear)  # The threads that fly are not in the child.
