"""The connections that this process keeps between those who use them: for each alias, the last used first.

A request, chore or duty takes one when it first needs it and gives it back when it ends. So a process has as
many as it had at work at once, whatever its threads are.

Note [What a kept connection says]
A balancer or firewall may have forgotten it, a server may have ended its session. That it is silent or lost
says nothing of the server, and does not count. All that were connected before are dropped, here and in the
other processes of the host. The steward asks on a new one at once, and so does whoever needs one next: that
counts.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from resilience import registry
from resilience.conf.databases import BREAKER
from resilience.db.connection import DeadlineConnection

logger = logging.getLogger(__name__)

# Seconds after which one that nobody took is closed: it is the surplus of a busier minute.
SURPLUS_AFTER = 60.0
# Silence is written into the log at most so often, in seconds; it is counted each time.
TOLD_EVERY = 60.0
# Sessions that may live on, and are ended when the server is next connected to.
MOST_ORPHANS = 50


class Idle:
    """The idle connections of one alias in this process. Thread-safe; closes outside of its lock."""

    def __init__(self, alias: str, breaker: str) -> None:
        """Heed what `breaker` knows of silent connections; `alias` is what people read."""
        self._alias = alias
        self._breaker = breaker
        self._lock = threading.Lock()
        self._kept: list[DeadlineConnection] = []  # The last used is the last. Guarded by _lock.
        self._silent = 0.0  # As in the store, which may be busy.
        self._told = -math.inf
        self._orphans: deque[DeadlineConnection] = deque(maxlen=MOST_ORPHANS)  # Guarded by _lock.
        self.inquiry = threading.Lock()
        """Held by the one who inquires of the server after a connection that is silent."""

    def __len__(self) -> int:
        return len(self._kept)

    def take(
        self, params: Mapping[str, Any], *, generation: int, max_age: float | None
    ) -> DeadlineConnection | None:
        """Return the connection that was used last, and is open as far as a look can tell; None without one.

        On the way it closes what was made with other parameters, in an earlier generation of the breaker,
        before another one was found silent, or more than `max_age` seconds ago.
        """
        while (found := self._pop()) is not None:
            if found.params == params and not self._is_over(found, max_age):
                if found.generation != generation:
                    self._count("outlived_an_outage")
                elif found.is_open():
                    found.kept, found.taken_at = True, time.monotonic()
                    return found
                else:
                    self._count("closed_by_server")
            found.close()
        return None

    def take_living(self, since: float) -> DeadlineConnection | None:
        """Return one that has answered since then, if that which was used last has."""
        with self._lock:
            if not self._kept or self._kept[-1].answered_at <= since:
                return None
            return self._kept.pop()

    def keep(self, connection: DeadlineConnection, *, most: int, max_age: float | None) -> bool:
        """Keep it for the next who needs one; False when it is of no further use, or there are `most`."""
        if connection.altered or not connection.is_open() or self._is_over(connection, max_age):
            return False
        with self._lock:
            if len(self._kept) >= most:
                return False
            self._kept.append(connection)
        self.reap()
        return True

    def reap(self) -> None:
        """Close what nobody has taken for a minute."""
        since = time.monotonic() - SURPLUS_AFTER
        self._close(lambda each: each.answered_at < since)

    def free(self) -> int:
        """Close all; return how many there were."""
        return len(self._close(lambda each: True))

    def doubt(self, began: float, why: str, failed: DeadlineConnection | None = None) -> None:
        """Take note that a call of a kept connection, made at `began`, met silence or a loss.

        See Note [What a kept connection says].
        """
        self._silent = max(self._silent, began)
        registry.store().silences.note(self._breaker, began)
        dropped = self._close(lambda each: each.made_at < began)
        self.abandon([*dropped, failed] if failed else dropped)
        self._count("silent", 1 + len(dropped))
        if time.monotonic() >= self._told + TOLD_EVERY:  # A frozen server silences one after the other.
            self._told = time.monotonic()
            logger.warning(
                "a connection of %r failed, which says nothing of its server; %d idle ones of its age are "
                "dropped: %s",
                self._alias,
                len(dropped),
                why,
            )

    def abandon(self, closed: list[DeadlineConnection]) -> None:
        """Remember what was closed here: a server that has not heard of it keeps session and locks."""
        with self._lock:
            self._orphans += closed

    @property
    def has_orphans(self) -> bool:
        """Whether sessions may live on that nobody uses."""
        return bool(self._orphans)

    def next_orphan(self) -> DeadlineConnection | None:
        """Return a connection whose session may live on, once."""
        with self._lock:
            return self._orphans.pop() if self._orphans else None

    def _is_over(self, connection: DeadlineConnection, max_age: float | None) -> bool:
        if max_age is not None and time.monotonic() - connection.made_at >= max_age:
            return True
        if not self.is_doubtful(connection):
            return False
        self._count("silent")
        return True

    def is_doubtful(self, connection: DeadlineConnection) -> bool:
        """Tell whether another one, or this one, was found silent since it was made."""
        return connection.made_at < max(self._silent, registry.store().silences.latest(self._breaker))

    def _pop(self) -> DeadlineConnection | None:
        with self._lock:
            return self._kept.pop() if self._kept else None

    def _close(self, over: Callable[[DeadlineConnection], bool]) -> list[DeadlineConnection]:
        with self._lock:
            closing = [each for each in self._kept if over(each)]
            self._kept = [each for each in self._kept if each not in closing] if closing else self._kept
        for each in closing:
            each.close()
        return closing

    def _count(self, reason: str, amount: int = 1) -> None:
        registry.store().counters.add("connections_dropped", self._alias, reason, amount=amount)


_lists: dict[str, Idle] = {}
_lock = threading.Lock()


def of(alias: str, breaker: str = BREAKER) -> Idle:
    """Return the idle connections of an alias, behind that breaker."""
    found = _lists.get(alias)
    if found is None:
        with _lock:
            found = _lists.setdefault(alias, Idle(alias, breaker))
    return found


def forget(alias: str) -> None:
    """Close what is kept of an alias, and know nothing of it: its settings have changed."""
    with _lock:
        found = _lists.pop(alias, None)
    if found is not None:
        found.free()


def free_all() -> int:
    """Close all idle connections of this process; return how many there were."""
    return sum(each.free() for each in list(_lists.values()))


def _forget_after_fork() -> None:
    """Forget the parent's; `connection` sees to it that they are not closed either."""
    global _lock
    _lock = threading.Lock()
    _lists.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
