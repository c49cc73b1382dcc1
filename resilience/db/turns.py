"""Let a process make two new connections to a database server at once, and no more.

When all threads of a process connect together, in the first second of a crowd or after an outage, each
handshake takes as long as all of them: they run out of time, and the breaker of a healthy server opens. So
the others wait for their turn. That wait is not part of the call which the breaker is told of. The steward's
ping and an inquiry about a silent connection, one of each at a time, wait for no turn.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

AT_ONCE = 2
# Seconds between two looks of a thread that waits for its turn.
LOOK_EVERY = 0.05

_turns: dict[str, threading.Semaphore] = {}  # Each step on it is one that no other thread interrupts.


@contextmanager
def turn(breaker: str, look: Callable[[], bool]) -> Iterator[None]:
    """Hold one of the turns of the database with this breaker for the block.

    In the wait for it, and at its end, `look` is called. If it returns True no turn is needed any longer, and
    the block begins without; its errors end the wait, too.
    """
    turns = _turns.get(breaker) or _turns.setdefault(breaker, threading.Semaphore(AT_ONCE))
    taken = free = turns.acquire(blocking=False)
    try:
        while not free:
            taken = turns.acquire(timeout=LOOK_EVERY)
            free = look() or taken
        yield
    finally:
        if taken and _turns.get(breaker) is turns:
            turns.release()


# In a child no thread of the parent ends its turn, and one of them may have held a lock within.
os.register_at_fork(after_in_child=_turns.clear)
