"""Let a process answer one read at a time from its static copy.

Such an answer needs the processor alone. If all readers of a crowd that were shed did this side by side, each
would take as long as all of them, and so would the live answers among them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

from resilience.primitives import current_deadline

AT_ONCE = 1
# Seconds after which a reader no longer waits: a disk that hangs must not hold up all others.
LONGEST_WAIT = 1.0

_turns = threading.Semaphore(AT_ONCE)


@contextmanager
def turn() -> Iterator[None]:
    """Hold one of the turns for the block; wait for it up to a second, then go on without one."""
    turns, deadline = _turns, current_deadline()
    left = inf if deadline is None else max(0.0, deadline.remaining())
    taken = turns.acquire(timeout=min(LONGEST_WAIT, left))
    try:
        yield
    finally:
        if taken:
            turns.release()


def _forget_after_fork() -> None:
    global _turns
    _turns = threading.Semaphore(AT_ONCE)


os.register_at_fork(after_in_child=_forget_after_fork)
