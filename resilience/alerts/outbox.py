"""A bounded queue into one channel, with a thread that delivers each item and tries again after a failure."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from resilience import causes, registry
from resilience.alerts.spool import Spool, remove
from resilience.primitives import SYSTEM_CLOCK, Clock

logger = logging.getLogger("resilience.alerts")

T = TypeVar("T")

# The first and the longest pause between tries, in seconds. Each pause is twice the one before, shortened at
# random by up to a half.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class RefusedError(Exception):
    """The channel refuses the item for good; another try would not help."""


class LaterError(Exception):
    """The channel asks not to be tried for `seconds`."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


@dataclass(eq=False, slots=True)
class _Entry(Generic[T]):
    item: T
    until: float
    """When it is given up, in monotonic seconds."""
    path: Path | None
    """Its file in the spool."""


class Outbox(Generic[T]):
    """Hand each item to `deliver`, in order, in a thread of its own; one that fails is tried again.

    Any exception of `deliver` is a failure, after which the outbox pauses and tries again. After `LaterError`
    the pause is at least as long as the channel asks; after `RefusedError` the item is given up. The last try
    is `lasts` seconds after `put`. At most `room` items wait: one more takes the place of the oldest, since
    new items matter more.

    With a `spool` the items outlive the process: `take_over` goes on with those of another process.
    Counted as ("alerts", name, outcome): success, retry (to be tried again), failure (given up), dropped (no
    room).
    """

    def __init__(
        self,
        name: str,
        deliver: Callable[[T], None],
        *,
        room: int,
        lasts: float = 300.0,
        spool: Spool[T] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._deliver = deliver
        self._room = room
        self._lasts = lasts
        self._spool = spool
        self._clock = clock
        self._sleep = sleep
        self._changed = threading.Condition()
        self._waiting: deque[_Entry[T]] = deque()  # Guarded by _changed; the first one may be in delivery.
        self._started = False
        self._pause = 0.0
        self._not_before = 0.0
        self._failing = ""  # The trouble in the log's last line: "thread", "retry", "lost", or "" for none.
        self._lost = 0

    def put(self, item: T) -> None:
        """Queue an item. Returns at once."""
        until = self._clock.monotonic() + self._lasts
        path = None if self._spool is None else self._spool.add(item, until)
        self._queue(_Entry(item, until, path))

    def take_over(self) -> None:
        """Queue what another process has left in the spool, oldest first; give up what is too old."""
        if self._spool is None:
            return
        with self._changed:
            known = {entry.path for entry in self._waiting}
        now = self._clock.monotonic()
        for path, item, until in self._spool.left():
            if path in known:
                continue
            if until < now:
                remove(path)
                self._count("failure")
                logger.error("%s: an item that no process sent in time is given up, and counted", self.name)
            else:
                # A time of another boot means nothing in this one, so the item gets `lasts` seconds at most.
                self._queue(_Entry(item, min(until, now + self._lasts), path))

    def join(self) -> None:
        """Wait until every item is delivered or given up."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting)

    def _queue(self, entry: _Entry[T]) -> None:
        with self._changed:
            full = len(self._waiting) > self._room
            if full:
                dropped = self._waiting[1]
                del self._waiting[1]
                self._forget(dropped)
                self._lost += 1
            self._waiting.append(entry)
            self._changed.notify_all()
        if full:
            self._count("dropped")
        self.start()

    def start(self) -> None:
        """Start the thread if items wait and it does not run; if it cannot be started, a later call tries."""
        with self._changed:
            if self._started or not self._waiting:
                return
            try:
                threading.Thread(target=self._work, name=f"resilience-{self.name}", daemon=True).start()
            except RuntimeError as error:
                if self._failing != "thread":
                    logger.warning("%s: no thread can be started, items wait: %s", self.name, error)
                self._failing = "thread"
                return
            self._started, self._failing = True, ""

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                entry = self._waiting[0]
            try:
                self._see_out(entry)
            except Exception:  # raised by the store or the log: the next item may get through
                logger.exception("an item of %s is lost", self.name)
            self._forget(entry)
            with self._changed:
                self._waiting.popleft()
                self._changed.notify_all()

    def _see_out(self, entry: _Entry[T]) -> None:
        """Try until the item is delivered, here or by another process, or given up."""
        while True:
            now = self._clock.monotonic()
            if (rest := min(self._not_before, entry.until) - now) > 0:
                self._sleep(rest)
            if entry.path is not None and not entry.path.exists():
                return
            try:
                self._deliver(entry.item)
            except Exception as error:  # of any kind: a later try may get through
                if self._is_given_up(entry, error):
                    return
            else:
                self._note_success()
                return

    def _is_given_up(self, entry: _Entry[T], error: Exception) -> bool:
        """Note a failed try, set the pause before the next, and tell whether the item is given up."""
        now = self._clock.monotonic()
        self._pause = min(2 * self._pause or _FIRST_PAUSE, _LONGEST_PAUSE)
        pause = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret: it spreads the tries
        asked = min(error.seconds, self._lasts) if isinstance(error, LaterError) else 0.0
        self._not_before = now + max(pause, asked)
        lost = isinstance(error, RefusedError) or now >= entry.until
        self._count("failure" if lost else "retry")
        with self._changed:
            self._lost += lost
        why = str(error) if isinstance(error, RefusedError | LaterError) else causes.describe(error)
        if lost and self._failing != "lost":
            logger.error("%s: an item is given up, and counted: %s", self.name, why)
            self._failing = "lost"
        elif not self._failing:
            logger.warning("%s: a try failed, more follow for %g s: %s", self.name, self._lasts, why)
            self._failing = "retry"
        if isinstance(error, RefusedError):
            self._pause = self._not_before = 0.0  # the channel answers, and may take the next item
        return lost

    def _note_success(self) -> None:
        self._count("success")
        self._pause = self._not_before = 0.0
        if self._failing:
            logger.warning("%s: items get through again; given up meanwhile: %d", self.name, self._lost)
        with self._changed:
            self._failing, self._lost = "", 0

    def _forget(self, entry: _Entry[T]) -> None:
        if entry.path is not None:
            remove(entry.path)

    def _count(self, outcome: str) -> None:
        registry.store().counters.add("alerts", self.name, outcome)
