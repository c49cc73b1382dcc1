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
# A wait that is shorter than these seconds needs less: this share of it. The rest was the dependency's.
_SHARE_OF_A_SHORT_ONE = 0.6
# Seconds after which a tick that was due counts as late. Threads that take turns in Python make it less late.
_LATE_AT_ALL = 0.1
# A wait is excused if ticks were late for this share of its time.
_SHARE = 0.2
# Note [A call takes turns]
# Threads that take turns in Python make each other late, by less than that. This excuses no wait for a server
# that does not answer, which needs no turn. But an answer that has come is taken only when the thread gets a
# turn: to send, to wait, to read. So a call of the cache that takes 2 ms may take 200 ms in a crowd.
_TURNS = 4
# Seconds from which a tick shows such a delay.
_DELAYED = 0.02
# How many late ticks are remembered: at least 7 s of a process that gets nothing done but ticks.
_REMEMBERED = 128


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
        if came - due >= _DELAYED:
            self._late.append((due, came))

    def late_within(self, seconds: float) -> bool:
        """Tell whether ticks were late in the last `seconds`, by `LATE` together and a fifth of that time."""
        late = sum(self._late_for(seconds, _LATE_AT_ALL))
        return late > 0.0 and late >= max(min(LATE, _SHARE_OF_A_SHORT_ONE * seconds), _SHARE * seconds)

    def delay_within(self, seconds: float) -> float:
        """Return for how long, in the last `seconds`, an answered call may have waited for its own process.

        See Note [A call takes turns].
        """
        late = self._late_for(seconds, _DELAYED)
        return min(sum(late), _TURNS * max(late, default=0.0))

    def lateness_within(self, seconds: float) -> float:
        """Return by how many of the last `seconds` ticks were late, all together."""
        return sum(self._late_for(seconds, _DELAYED))

    def _late_for(self, seconds: float, least: float) -> list[float]:
        """Return for how much of the last `seconds` each tick was late, if it was by the `least` at all."""
        if self._thread is None:
            return []
        now = time.monotonic()
        since = now - seconds
        spans = [*self._late, (self._due, now)]
        return [came - max(due, since) for due, came in spans if came - due >= least and came > since]

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
