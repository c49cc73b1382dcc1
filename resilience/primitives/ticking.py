"""A thread that ticks, to find out when this process got no processor.

If the process was stopped or starved, a wait of 0.25 s for an answer ends without one, although the answer
may lie in the socket. A tick of 50 ms that comes 200 ms late shows this, as do several that come 100 ms late:
on a machine that is overloaded, a process gets the processor often, but each time late.
"""

import os
import threading
import time
from collections import deque

EVERY = 0.05
LATE = 0.2
"""The least seconds, of all late ticks in a wait together, that excuse it."""
# Seconds after which a tick that was due counts as late. Threads that take turns in Python make it less late.
_LATE_AT_ALL = 0.1
# A wait is excused if ticks were late for this share of its time.
_SHARE = 0.2
# How many late ticks are remembered: at least 7 s of a process that gets nothing done but ticks.
_REMEMBERED = 48


class Ticks:
    """Tick in a daemon thread, and remember late ticks. Before `start` there are none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None  # Guarded by _lock.
        self._due = 0.0
        self._late: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)  # when due, and when it came

    def start(self) -> None:
        """Start ticking, once in each process. Raise `RuntimeError` when no thread can be had."""
        with self._lock:
            if self._thread is None:
                self._due = time.monotonic() + EVERY
                thread = threading.Thread(target=self._tick, name="resilience-ticks", daemon=True)
                thread.start()
                self._thread = thread

    def note(self, due: float, came: float) -> None:
        """Note a tick."""
        if came - due >= _LATE_AT_ALL:
            self._late.append((due, came))

    def late_within(self, seconds: float) -> bool:
        """Tell whether ticks were late in the last `seconds`, by `LATE` together and a fifth of that time."""
        if self._thread is None:
            return False
        now = time.monotonic()
        since = now - seconds
        spans = [*self._late, (self._due, now)] if now - self._due >= _LATE_AT_ALL else list(self._late)
        late = sum(max(0.0, came - max(due, since)) for due, came in spans)
        return late >= max(LATE, _SHARE * seconds)

    def forget(self) -> None:
        """Forget the thread and its ticks: a forked child does not have it."""
        self._lock = threading.Lock()
        self._thread = None
        self._late.clear()

    def _tick(self) -> None:
        while True:
            self._due = time.monotonic() + EVERY
            time.sleep(EVERY)
            self.note(self._due, time.monotonic())


TICKS = Ticks()
"""The ticks of this process."""

os.register_at_fork(after_in_child=TICKS.forget)
