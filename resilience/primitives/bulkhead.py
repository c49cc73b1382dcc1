"""Keep one kind of work from taking all threads of the process (the bulkhead of Nygard's "Release It!")."""

from __future__ import annotations

import logging
import os
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock
from typing import ParamSpec, TypeVar

from resilience.primitives.config import BulkheadConfig
from resilience.primitives.deadline import current_deadline
from resilience.primitives.errors import BulkheadFullError

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

# The seconds after which to try again: a place is held for one call, so it soon comes free.
RETRY_AFTER = 1.0


class _Waiter:
    """One thread in the queue. `admitted` is guarded by the lock of the places it waits for."""

    __slots__ = ("admitted", "wake")

    def __init__(self) -> None:
        self.wake = Event()
        self.admitted = False


class _Places:
    """The places of one process. A forked child gets new ones."""

    __slots__ = ("lock", "queue", "queued_elsewhere", "rejected", "running")

    def __init__(self) -> None:
        self.lock = Lock()
        self.running = 0  # Guarded by lock.
        self.queue: deque[_Waiter] = deque()  # Guarded by lock.
        self.queued_elsewhere = 0  # Guarded by lock.
        self.rejected = 0  # Guarded by lock.

    def occupied_locked(self) -> int:
        return self.running + len(self.queue) + self.queued_elsewhere


class Bulkhead:
    """Let `config.running` calls run at once in this process, and `config.waiting` more wait.

    A place that comes free goes to the call that has waited longest. `on_change` is called with the bulkhead,
    without a lock, after each change of `in_use`, `waiting` or `rejected`.
    """

    def __init__(
        self, name: str, config: BulkheadConfig, *, on_change: Callable[[Bulkhead], None] | None = None
    ) -> None:
        self.name = name
        self.config = config
        self._on_change = on_change
        self._places = _Places()
        _bulkheads.add(self)

    @property
    def in_use(self) -> int:
        """The number of calls that are running."""
        return self._places.running

    @property
    def waiting(self) -> int:
        """The number of threads that wait for a place, or for another's result (`queued`)."""
        places = self._places
        return len(places.queue) + places.queued_elsewhere

    @property
    def rejected(self) -> int:
        """The number of calls that were refused since the process began."""
        return self._places.rejected

    def execute(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `fn` in a place. Raises `BulkheadFullError` if there is none in time."""
        with self.enter():
            return fn(*args, **kwargs)

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold a place for the block. Wait for it up to `max_wait`, and never past the current deadline.

        Raises `BulkheadFullError`: at once if as many run and wait as may, else when the wait is over.
        """
        places = self._places
        waiter = None
        with places.lock:
            full = self._full_locked(places)
            if not full:
                if places.running < self.config.running:
                    places.running += 1
                else:
                    waiter = _Waiter()
                    places.queue.append(waiter)
        if full:
            raise self._refusal(f"{self.config.running} running and {self.config.waiting} waiting")
        if waiter is not None:
            self._wait(places, waiter)
        try:
            self._changed()
            yield
        finally:
            self._leave(places)

    @contextmanager
    def queued(self) -> Iterator[None]:
        """Count this thread as waiting in the block, in which it waits for another thread's result.

        It takes up a thread as a waiting call does. Raises `BulkheadFullError` if no more may wait.
        """
        places = self._places
        with places.lock:
            full = self._full_locked(places)
            if not full:
                places.queued_elsewhere += 1
        if full:
            raise self._refusal(f"{self.config.running} running and {self.config.waiting} waiting")
        try:
            self._changed()
            yield
        finally:
            if places is self._places:  # See Note [The child of a fork holds no place].
                with places.lock:
                    places.queued_elsewhere -= 1
                self._changed()

    def _full_locked(self, places: _Places) -> bool:
        """Tell whether as many run and wait as may, and if so count the refusal."""
        full = places.occupied_locked() >= self.config.running + self.config.waiting
        places.rejected += full
        return full

    def _wait(self, places: _Places, waiter: _Waiter) -> None:
        deadline = current_deadline()
        limit = self.config.max_wait if deadline is None else min(self.config.max_wait, deadline.remaining())
        try:
            self._changed()
            waiter.wake.wait(limit)
        except BaseException:
            if not self._withdraw(places, waiter):
                self._leave(places)
            raise
        if self._withdraw(places, waiter):
            raise self._refusal(f"no place within {limit:.3f} s")

    @staticmethod
    def _withdraw(places: _Places, waiter: _Waiter) -> bool:
        """Take the waiter out of the queue; return False if it has got a place in the meantime."""
        with places.lock:
            if waiter.admitted:
                return False
            places.queue.remove(waiter)
            places.rejected += 1
            return True

    def _leave(self, places: _Places) -> None:
        if places is not self._places:  # See Note [The child of a fork holds no place].
            return
        with places.lock:
            if places.queue:
                # The place is handed over, not put back, so that a new thread cannot overtake.
                waiter = places.queue.popleft()
                waiter.admitted = True
                waiter.wake.set()
            else:
                places.running -= 1
        self._changed()

    def _refusal(self, why: str) -> BulkheadFullError:
        self._changed()
        return BulkheadFullError(self.name, retry_after=RETRY_AFTER, reason=f"bulkhead full: {why}")

    def _changed(self) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change(self)
        except Exception:
            logger.exception("a listener of bulkhead %s failed", self.name)


# Note [The child of a fork holds no place]
# The threads that held places are not in the child, and one of them may have held the lock. So the child
# starts with new places. A block that was entered before the fork must not touch the old places or their
# lock.
_bulkheads: weakref.WeakSet[Bulkhead] = weakref.WeakSet()


def _renew_after_fork() -> None:
    for bulkhead in _bulkheads:
        bulkhead._places = _Places()


os.register_at_fork(after_in_child=_renew_after_fork)
