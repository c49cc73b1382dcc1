"""Keep one kind of work from taking all threads of the process (the bulkhead of Nygard's "Release It!")."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import ParamSpec, TypeVar

from resilience.primitives.clock import SYSTEM_CLOCK, Clock
from resilience.primitives.config import BulkheadConfig
from resilience.primitives.deadline import current_deadline
from resilience.primitives.errors import BulkheadFullError
from resilience.primitives.places import Places, Waiter
from resilience.primitives.threads import Threads
from resilience.primitives.waiting import Look, wait

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

# The seconds after which to try again: a place is held for one call, so it soon comes free.
RETRY_AFTER = 1.0


class Bulkhead:
    """Let `config.running` calls run at once in this process, and `config.waiting` more wait.

    A place that comes free goes to the call that has waited longest; those that are `first` go before the
    others. Who would wait too long is refused at once, so that a queue never consists of calls that time out
    just before their turn. `threads` are those of the process, which all its bulkheads share. `on_change` is
    called with the bulkhead, without a lock, after each change of `in_use`, `waiting` or `rejected`.
    """

    def __init__(
        self,
        name: str,
        config: BulkheadConfig,
        *,
        threads: Threads | None = None,
        clock: Clock = SYSTEM_CLOCK,
        on_change: Callable[[Bulkhead], None] | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self._threads = threads or Threads()
        self._clock = clock
        self._on_change = on_change
        self._places = Places()
        _bulkheads.add(self)

    @property
    def in_use(self) -> int:
        """The number of calls that are running."""
        return self._places.running

    @property
    def waiting(self) -> int:
        """The number of threads that wait for a place, or for another's result (`queued`)."""
        return self._places.waiting()

    @property
    def rejected(self) -> int:
        """The number of calls that were refused since the process began."""
        return self._places.rejected

    @property
    def held_for(self) -> float:
        """How long a place is held, in seconds: a moving average; 0 until 20 calls have ended."""
        return self._places.held_for

    def execute(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `fn` in a place. Raises `BulkheadFullError` if there is none in time."""
        with self.enter():
            return fn(*args, **kwargs)

    @contextmanager
    def enter(self, *, first: bool = False, look: Look | None = None) -> Iterator[bool]:
        """Hold a place for the block, and tell it whether there was a wait.

        The wait takes up to `max_wait`, and leaves of the current deadline the time for which a place is
        held on average. `first` goes before all who are not. `look` is called ten times a second in the wait,
        and at its end; it raises an error, such as a breaker's refusal, if there is nothing to wait for.
        Raises `BulkheadFullError`: at once if as many run and wait as may, or if the queue is too long for
        the time that is left; else when that is over. It can also be that someone else went `first`.
        """
        places = self._places
        waiter, counted = self._begin(places, first=first)
        if waiter is not None:
            self._wait(places, waiter, counted, look)
        began = self._clock.monotonic()
        try:
            self._changed()
            yield waiter is not None
        finally:
            self._leave(places, counted, self._clock.monotonic() - began)

    @contextmanager
    def queued(self) -> Iterator[float]:
        """Count this thread as waiting in the block, in which it waits for another thread's result.

        It takes up a thread as a waiting call does, and is told for how many seconds it may wait. Raises
        `BulkheadFullError` if no more may wait.
        """
        places = self._places
        with self._threads.lock:
            why = self._why_full_locked(places, free=False)
            if why:
                places.rejected += 1
            else:
                counted = self._threads.take_locked()
                places.queued_elsewhere += 1
        if why:
            raise self._refusal(why)
        try:
            self._changed()
            yield self._limit(places, most=2 * self.config.max_wait)
        finally:
            if places is self._places:  # See Note [The child of a fork holds no place].
                with self._threads.lock:
                    places.queued_elsewhere -= 1
                    if counted:
                        self._threads.give_back_locked()
                self._changed()

    # --- Begin ---

    def _begin(self, places: Places, *, first: bool) -> tuple[Waiter | None, bool]:
        """Take a place, else one in the queue; tell also whether this takes up the thread."""
        limit = self._limit(places)
        with self._threads.lock:
            free = places.running < self.config.running
            why = "" if free else self._why_long_locked(places, limit, first=first)
            if not why:
                why = self._why_full_locked(places, free=free)
                if why and first and not free and places.displace():
                    why = ""
            if not why:
                counted = self._threads.take_locked()
                if not free:
                    return Waiter(places.first if first else places.usual), counted
                places.running += 1
                return None, counted
            places.rejected += 1
        raise self._refusal(why)

    def _why_full_locked(self, places: Places, *, free: bool) -> str:
        """Return why a call can neither run nor wait, "" if it can."""
        running, waiting, threads = self.config.running, self.config.waiting, self._threads
        if not free and places.waiting() >= waiting:
            return f"{running} running and {waiting} waiting"
        if not (threads.may_run_locked() if free else threads.may_wait_locked()):
            return f"{threads.taken} threads are taken, and one is kept free"
        return ""

    def _why_long_locked(self, places: Places, limit: float, *, first: bool) -> str:
        """Return why the wait for a place would be too long, "" if it would not."""
        expected = places.turn_comes_in(self.config.running, first=first)
        return f"a wait of {expected:.3f} s with {limit:.3f} s left" if expected > limit else ""

    def _limit(self, places: Places, most: float | None = None) -> float:
        """Return the seconds that a call may wait now, `most` at the most; by default `max_wait`."""
        deadline = current_deadline()
        left = inf if deadline is None else deadline.remaining() - places.held_for
        return max(0.0, min(self.config.max_wait if most is None else most, left))

    # --- Wait ---

    def _wait(self, places: Places, waiter: Waiter, counted: bool, look: Look | None) -> None:
        limit = self._limit(places)
        try:
            self._changed()
            wait(waiter.wake, limit, look, clock=self._clock)
        except BaseException:
            if not self._withdraw(places, waiter, counted, refused=False):
                self._leave(places, counted, None)
            raise
        if self._withdraw(places, waiter, counted, refused=True):
            raise self._refusal("others go first" if waiter.displaced else f"no place within {limit:.3f} s")
        if self._comes_too_late(places):
            self._leave(places, counted, None, refused=True)
            raise self._refusal("a place came, but too late for such a call")

    @staticmethod
    def _comes_too_late(places: Places) -> bool:
        """Tell whether too little time is left. Calls may have become slower during the wait."""
        deadline = current_deadline()
        return deadline is not None and deadline.remaining() < places.held_for

    def _withdraw(self, places: Places, waiter: Waiter, counted: bool, *, refused: bool) -> bool:
        """Take the waiter out of the queue; return False if it has got a place in the meantime."""
        with self._threads.lock:
            if waiter.admitted:
                return False
            if not waiter.displaced:
                waiter.queue.remove(waiter)
            places.rejected += refused
            if counted:
                self._threads.give_back_locked()
            return True

    def _leave(self, places: Places, counted: bool, held: float | None, *, refused: bool = False) -> None:
        """Give a place back, `held` for so many seconds; None if nothing was done in it."""
        if places is not self._places:  # See Note [The child of a fork holds no place].
            return
        with self._threads.lock:
            places.hand_over()
            places.rejected += refused
            if held is not None:
                places.note_held(held)
            if counted:
                self._threads.give_back_locked()
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
        bulkhead._places = Places()


os.register_at_fork(after_in_child=_renew_after_fork)
