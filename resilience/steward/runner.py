"""One steward per host: hold the lease, and do the duties while it is held.

Every server process has a standby: one thread that looks at the lease each half second. The process that
holds the lease runs one more thread for each duty, so that a duty that hangs delays no other.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from math import inf
from typing import Protocol

from django.db import close_old_connections

from resilience.journal import events
from resilience.primitives import Clock, OwnTroubleError, Store, own_trouble

logger = logging.getLogger("resilience.steward")

# Seconds between two looks at the lease, each of which takes or renews it. It lapses after 2 seconds.
BEAT = 0.5
# Seconds for which a process that could not do the work leaves it to others.
REST = 10.0
# Seconds between the first runs of two duties: at once, each would open a connection of its own.
APART = 0.1


class Duty(Protocol):
    """Something to do again and again: `step` does what is due and returns the seconds to pause."""

    name: str

    def step(self) -> float: ...


class _Term:
    """One period of holding the lease; compare by identity. Another one starts when it is taken again."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch


class Steward:
    """Take the lease when no process holds it, keep it while this one lives, and do the host's work."""

    def __init__(self, store: Store, make_duties: Callable[[int], Sequence[Duty]], *, clock: Clock) -> None:
        """Make the duties of each term by `make_duties(epoch)`."""
        self._store = store
        self._make_duties = make_duties
        self._clock = clock
        self._stop = threading.Event()
        self._term: _Term | None = None  # Written by the standby alone.
        self._rests_until = -inf

    def start(self) -> None:
        """Start the standby; it ends with the process."""
        threading.Thread(target=self._stand_by, name="resilience-steward", daemon=True).start()

    def stop(self) -> None:
        """End all threads soon and give up the lease, so that the next steward need not wait for its end."""
        self._stop.set()
        if (term := self._term) is not None:
            self._store.lease.release(term.epoch)

    def beat(self) -> None:
        """Take or renew the lease; start the duties of a new term, or end those of a lost one."""
        if self._clock.monotonic() < self._rests_until:
            self._term = None
            return
        epoch = self._store.lease.take(self._clock.monotonic())
        if self._term is not None and self._term.epoch == epoch:
            return
        if epoch is None and self._term is not None and self.holds(self._term):
            return  # The store's lock was busy; the lease still stands, and the next beat renews it.
        if self._term is not None:
            logger.info("another process is the steward now")
        self._term = None if epoch is None else _Term(epoch)
        if self._term is None:
            return
        logger.info("process %s is the steward, epoch %s", os.getpid(), epoch)
        events.record("steward", process=os.getpid(), epoch=epoch)
        try:
            for number, duty in enumerate(self._make_duties(self._term.epoch)):
                name, work = f"resilience-{duty.name}", (duty, self._term, number * APART)
                threading.Thread(target=self._do, args=work, name=name, daemon=True).start()
        except Exception as error:
            if own_trouble(error) is None:
                raise
            self._give_up(self._term, error)  # some duties without the others are of no use

    def holds(self, term: _Term) -> bool:
        """Tell whether the lease of that term is still this process's.

        Asks the store each time: a process that was stopped for a while (SIGSTOP) may have lost it unnoticed.
        """
        holder = self._store.lease.holder(self._clock.monotonic())
        return self._term is term and holder is not None and holder.epoch == term.epoch

    def _give_up(self, term: _Term, why: BaseException) -> None:
        """Leave the lease to a process that can do the work."""
        if self._term is not term:
            return  # another duty of this term has done so
        self._rests_until = self._clock.monotonic() + REST
        self._store.lease.release(term.epoch)
        logger.warning("process %s gives up being the steward for %g s: %s", os.getpid(), REST, why)

    def _stand_by(self) -> None:
        while not self._stop.wait(BEAT):
            try:
                self.beat()
            except Exception:  # a standby that ends would leave the host without probes
                logger.exception("the steward's beat failed")

    def _do(self, duty: Duty, term: _Term, pause: float) -> None:
        while not self._stop.wait(pause) and self.holds(term):
            try:
                pause = duty.step()
            except OwnTroubleError as error:
                self._give_up(term, error)
            except Exception:  # as above
                logger.exception("%s failed", duty.name)
                pause = BEAT
            close_old_connections()  # the thread lives long, its connections need not
