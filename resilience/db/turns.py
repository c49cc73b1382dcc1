"""Let a process make two new connections to a database server at once, and no more.

When all threads of a process connect together, in the first second of a crowd or after an outage, each
handshake takes as long as all of them: they run out of time, and the breaker of a healthy server opens. So
the others wait for their turn, and who came first goes first. That wait is not part of the call which the
breaker is told of. The steward's ping needs no turn. An inquiry about a silent connection is made only if one
is free.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

AT_ONCE = 2
# Seconds between two looks of a thread that waits for its turn.
LOOK_EVERY = 0.05


class _Waiter:
    """One thread that has its turn, or waits for it. It wakes when it should look again."""

    __slots__ = ("has_turn", "wake")

    def __init__(self) -> None:
        self.has_turn = False
        self.wake = threading.Event()


class _Turns:
    """The turns of one database. While any is free nobody waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free = AT_ONCE
        self._waiting: deque[_Waiter] = deque()

    def ask(self) -> _Waiter:
        """Take a free turn, or queue for one."""
        waiter = _Waiter()
        with self._lock:
            if self._free:
                self._free -= 1
                waiter.has_turn = True
            else:
                self._waiting.append(waiter)
        return waiter

    def leave(self, waiter: _Waiter) -> None:
        """End a turn: the first who waits gets it, so that no newcomer overtakes. Or end a wait in vain."""
        with self._lock:
            if not waiter.has_turn:
                self._waiting.remove(waiter)
                self._wake_first()
            elif self._waiting:
                following = self._waiting.popleft()
                following.has_turn = True
                following.wake.set()
            else:
                self._free += 1

    def wake_first(self) -> None:
        """Have the first who waits look at once."""
        if self._waiting:
            with self._lock:
                self._wake_first()

    def _wake_first(self) -> None:
        if self._waiting:
            self._waiting[0].wake.set()


_turns: dict[str, _Turns] = {}  # Each step on it is one that no other thread interrupts.


@contextmanager
def turn(breaker: str, look: Callable[[], bool]) -> Iterator[None]:
    """Hold one of the turns of the database with this breaker for the block.

    In the wait for it, and at its end, `look` is called. If it returns True no turn is needed any longer, and
    the block begins without; its errors end the wait, too.
    """
    with _asked(breaker) as waiter:
        free = waiter.has_turn
        while not free:
            waiter.wake.wait(LOOK_EVERY)
            waiter.wake.clear()
            free = look() or waiter.has_turn
        yield


@contextmanager
def turn_at_once(breaker: str) -> Iterator[bool]:
    """Hold a turn for the block if one is free, and tell whether: nobody waits."""
    with _asked(breaker) as waiter:
        yield waiter.has_turn


@contextmanager
def _asked(breaker: str) -> Iterator[_Waiter]:
    turns = _turns.get(breaker) or _turns.setdefault(breaker, _Turns())
    waiter = turns.ask()
    try:
        yield waiter
    finally:
        if _turns.get(breaker) is turns:
            turns.leave(waiter)


def wake_first(breaker: str) -> None:
    """Tell the first who waits for a turn that a connection was given back, which it may take instead."""
    if (turns := _turns.get(breaker)) is not None:
        turns.wake_first()


# In a child no thread of the parent ends its turn, and one of them may have held a lock within.
os.register_at_fork(after_in_child=_turns.clear)
