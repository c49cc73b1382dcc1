"""The idle connections of this process, kept for each alias; the one used last is taken first.

A request, chore or duty takes a connection when it first needs one, and gives it back when it ends. So a
process has as many connections as it has used at the same time, however many threads it has.

Note [What a kept connection says]
A balancer or firewall may have forgotten a kept connection, or the server may have ended its session. So a
kept connection that is silent or lost does not count as a failure of the server. Instead all connections
made before that call are dropped, in all processes of the host. The steward then pings on a new connection
at once, and the next request needs a new one, too. Failures on new connections count.
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
from resilience.db import turns
from resilience.db.connection import DeadlineConnection
from resilience.db.failures import was_cut
from resilience.primitives import own_trouble
from resilience.primitives.store.latest import SUSPECTED

logger = logging.getLogger(__name__)

# Seconds after which an idle connection is closed: a busier minute needed more of them.
SURPLUS_AFTER = 60.0
# The least seconds between two log lines about silent connections. Each of them is counted.
TOLD_EVERY = 60.0
# The most orphans: connections closed here whose session may live on at the server. The next new connection
# ends these sessions.
MOST_ORPHANS = 50


class Idle:
    """The idle connections of one alias in this process. Thread-safe; closes connections outside its lock."""

    def __init__(self, alias: str, breaker: str) -> None:
        """Share the times of silence with the host under the name `breaker`; log and count under `alias`."""
        self._alias = alias
        self._breaker = breaker
        self._lock = threading.Lock()
        self._kept: list[DeadlineConnection] = []  # The last used is the last. Guarded by _lock.
        self._silent = 0.0  # the same as in the store, in case that cannot be written
        self._told = -math.inf
        self._orphans: deque[DeadlineConnection] = deque(maxlen=MOST_ORPHANS)  # Guarded by _lock.
        self.inquiry = threading.Lock()
        """Held by the thread that asks the server about a silent connection."""

    def __len__(self) -> int:
        return len(self._kept)

    def take(
        self, params: Mapping[str, Any], *, generation: int, max_age: float | None
    ) -> DeadlineConnection | None:
        """Return the connection that was used last and is open, as far as a look can tell; None without one.

        Closes connections that were made with other parameters, in another generation of the breaker, before
        one was found silent, or more than `max_age` seconds ago.
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
        """Return the connection that was used last, if it has answered since then (monotonic seconds)."""
        with self._lock:
            if not self._kept or self._kept[-1].answered_at <= since:
                return None
            return self._kept.pop()

    def keep(self, connection: DeadlineConnection, *, most: int, max_age: float | None) -> bool:
        """Keep a connection; return False if it is of no further use, or if `most` are kept already."""
        if connection.altered or not connection.is_open() or self._is_over(connection, max_age):
            return False
        with self._lock:
            if len(self._kept) >= most:
                return False
            self._kept.append(connection)
        turns.wake_first(self._breaker)
        self.reap()
        return True

    def reap(self) -> None:
        """Close connections that have been idle for `SURPLUS_AFTER` seconds."""
        since = time.monotonic() - SURPLUS_AFTER
        self._close(lambda each: each.answered_at < since)

    def free(self) -> int:
        """Close all idle connections; return how many there were."""
        return len(self._close(lambda each: True))

    def doubt(
        self,
        began: float,
        error: BaseException,
        failed: DeadlineConnection | None = None,
        *,
        limit: float = 0.0,
    ) -> bool:
        """Note that a call on a connection, begun at `began` (monotonic), met silence or a loss.

        Drops all idle connections made before then. See Note [What a kept connection says]. Returns False,
        and does nothing, if the call waited for less than `limit` seconds, because its request had no more
        time, or if only this process lacked something, for example the processor.
        """
        if not _says_something(began, error, limit):
            return False
        self._silent = max(self._silent, began)
        registry.store().silences.note(self._breaker, began)
        dropped = self._close(lambda each: each.made_at < began)
        self.abandon([*dropped, failed] if failed else dropped)
        self._count("silent", 1 + len(dropped))
        self._tell(
            "a connection of %r failed, which says nothing of its server; %d idle ones of its age are "
            "dropped: %s",
            self._alias,
            len(dropped),
            error,
        )
        return True

    def suspect(self, began: float, error: BaseException, *, limit: float) -> None:
        """Have the steward ping at once: no connection could be made to ask about a silent one.

        That drops no idle one: in a busy process a connect may run out of time, while the server is well.
        Where `doubt` does nothing, this only counts.
        """
        registry.store().counters.add("questions_failed", "silent connection")
        if not _says_something(began, error, limit):
            return
        registry.store().silences.note(SUSPECTED.format(name=self._breaker), began)
        self._tell("a new connection of %r could not ask about a silent one: %s", self._alias, error)

    def _tell(self, message: str, *values: object) -> None:
        if time.monotonic() >= self._told + TOLD_EVERY:  # on a frozen server they fail one after another
            self._told = time.monotonic()
            logger.warning(message, *values)

    def abandon(self, closed: list[DeadlineConnection]) -> None:
        """Remember closed connections as orphans: a server that did not notice keeps session and locks."""
        with self._lock:
            self._orphans += closed

    @property
    def has_orphans(self) -> bool:
        """Whether there are orphans: sessions that may live on, unused."""
        return bool(self._orphans)

    def take_orphans(self) -> list[DeadlineConnection]:
        """Return all orphans, and forget them."""
        with self._lock:
            orphans = list(self._orphans)
            self._orphans.clear()
        return orphans

    def _is_over(self, connection: DeadlineConnection, max_age: float | None) -> bool:
        if max_age is not None and time.monotonic() - connection.made_at >= max_age:
            return True
        if not self.is_doubtful(connection):
            return False
        self._count("silent")
        return True

    def is_doubtful(self, connection: DeadlineConnection) -> bool:
        """Tell whether a call on this or another connection met silence since this one was made."""
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


def _says_something(began: float, error: BaseException, limit: float) -> bool:
    took = time.monotonic() - began
    return not (was_cut(error) and took < limit) and own_trouble(error, took) is None


_lists: dict[str, Idle] = {}  # Each step on it is one that no other thread interrupts.


def of(alias: str, breaker: str = BREAKER) -> Idle:
    """Return the idle connections of an alias whose breaker is `breaker`."""
    found = _lists.get(alias)
    return _lists.setdefault(alias, Idle(alias, breaker)) if found is None else found


def forget(alias: str) -> None:
    """Close and forget the idle connections of an alias: its settings have changed."""
    if (found := _lists.pop(alias, None)) is not None:
        found.free()


def free_all() -> int:
    """Close all idle connections of this process; return how many there were."""
    return sum(each.free() for each in list(_lists.values()))


# `db.connection` keeps the child from closing its parent's connections.
os.register_at_fork(after_in_child=_lists.clear)
