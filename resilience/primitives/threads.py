"""How many threads serve requests in this process, and how many of them the bulkheads take up."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable


class _Mark:
    """Lies in a thread's own data, and so lives as long as the thread."""

    __slots__ = ("__weakref__",)


class Threads:
    """Keep one thread of the process free of calls that run or wait, so that liveness never queues.

    All bulkheads of a process share one object. `known` is how many threads serve requests. Without it they
    are counted as they are seen (`serves`). As long as none was seen, there is no limit.
    """

    def __init__(self, known: int | None = None) -> None:
        self._known = known
        self.renew()
        _all.add(self)

    def renew(self) -> None:
        """Begin again: a forked child has none of its parent's threads."""
        self.lock = threading.Lock()
        self.taken = 0  # Guarded by lock: all that run or wait, in any bulkhead.
        self._local = threading.local()
        self._marks: weakref.WeakSet[_Mark] = weakref.WeakSet()
        self._seen = 0
        self._all_told = self._known

    def serves(self) -> None:
        """Note that the current thread serves a request. Costs next to nothing from the second time on."""
        if self._known is not None or hasattr(self._local, "mark"):
            return
        with self.lock:
            self._local.mark = mark = _Mark()
            self._marks.add(mark)
            self._seen = max(self._seen, len(self._marks))
            self._all_told = self._all_told or _size_of_executor()

    def are_unlimited(self) -> None:
        """Note that each request has a thread of its own, as under ASGI: then no thread need be kept free."""
        self._known = None
        self._seen = 0
        self._all_told = None

    def may_run_locked(self) -> bool:
        """Tell whether the current thread may run a call.

        One always may. A number that was only counted refuses nobody a place that is free: the server may
        have more threads than were busy at once so far.
        """
        return self.taken == 0 or self._leaves_one_locked(self._all_told)

    def may_wait_locked(self) -> bool:
        """Tell whether the current thread may wait for a call."""
        return self._leaves_one_locked(self._all_told or self._seen or None)

    def take_locked(self) -> bool:
        """Count the current thread as taken up; return False if it was before, by an outer call."""
        if self._is_taken():
            return False
        self._local.taken = True
        self.taken += 1
        return True

    def give_back_locked(self) -> None:
        """Count the current thread as free again."""
        self._local.taken = False
        self.taken -= 1

    def _leaves_one_locked(self, number: int | None) -> bool:
        return number is None or self.taken < number - 1 or self._is_taken()

    def _is_taken(self) -> bool:
        return getattr(self._local, "taken", False)


def _size_of_executor() -> int | None:
    """Return how many threads the current one's `ThreadPoolExecutor` may have; None if it is of no such.

    gunicorn serves requests from one, which starts its threads when they are needed.
    """
    arguments: tuple[object, ...] = getattr(threading.current_thread(), "_args", ())
    found: Callable[[], object] | None = next(
        (each for each in arguments if isinstance(each, weakref.ref)), None
    )
    size = getattr(found and found(), "_max_workers", None)
    return size if isinstance(size, int) else None


_all: weakref.WeakSet[Threads] = weakref.WeakSet()


def _renew_after_fork() -> None:
    for threads in _all:
        threads.renew()


os.register_at_fork(after_in_child=_renew_after_fork)
