"""The places of a bulkhead in one process, and the two queues before them."""

from __future__ import annotations

from collections import deque
from math import inf
from threading import Event

# Note [How long a place is held]
# A process that has just started needs long for its first calls, and a crowd makes many of them at once. An
# average that begins with these would turn away calls which have the time. So nothing is known until 20 calls
# have ended, and nobody is turned away for it. Then the shortest of them is the best guess: whatever else was
# slow, one call cannot be faster than the server lets it. With queries of 300 ms that is 300 ms. From there a
# moving average goes to what is usual, within some 60 calls.
_FIRST = 20
_WEIGHT = 0.05  # of the newest call


class Waiter:
    """One thread in a queue. It wakes when it was admitted, or displaced by one that goes first."""

    __slots__ = ("admitted", "displaced", "queue", "wake")

    def __init__(self, queue: deque[Waiter]) -> None:
        self.queue = queue
        self.wake = Event()
        self.admitted = False
        self.displaced = False
        queue.append(self)


class Places:
    """How many places are taken, and who waits for one. The bulkhead's lock guards all of it."""

    __slots__ = (
        "_noted",
        "_shortest",
        "first",
        "held_for",
        "queued_elsewhere",
        "rejected",
        "running",
        "usual",
    )

    def __init__(self) -> None:
        self.running = 0
        self.first: deque[Waiter] = deque()
        self.usual: deque[Waiter] = deque()
        self.queued_elsewhere = 0  # threads that wait for another's result
        self.rejected = 0
        self.held_for = 0.0  # seconds; 0 until it is known. See Note [How long a place is held]
        self._noted = 0
        self._shortest = inf

    def waiting(self) -> int:
        """Return how many threads wait, also those that wait elsewhere."""
        return len(self.first) + len(self.usual) + self.queued_elsewhere

    def turn_comes_in(self, running: int, *, first: bool) -> float:
        """Return the seconds that a new waiter would wait with `running` places, going by the average."""
        ahead = len(self.first) + (0 if first else len(self.usual))
        return (ahead + 1) * self.held_for / running

    def displace(self) -> bool:
        """Take the last waiter out of the usual queue; return False if there is none."""
        if not self.usual:
            return False
        last = self.usual.pop()
        last.displaced = True
        last.wake.set()
        return True

    def hand_over(self) -> None:
        """Give a place to the next waiter, so that no new thread can overtake; without one, free it."""
        queue = self.first or self.usual
        if not queue:
            self.running -= 1
            return
        waiter = queue.popleft()
        waiter.admitted = True
        waiter.wake.set()

    def note_held(self, seconds: float) -> None:
        """Note for how long a place was held. See Note [How long a place is held]."""
        self._noted += 1
        if self._noted > _FIRST:
            self.held_for += (seconds - self.held_for) * _WEIGHT
            return
        self._shortest = min(self._shortest, seconds)
        if self._noted == _FIRST:
            self.held_for = self._shortest
