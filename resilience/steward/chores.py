"""The jobs that the steward runs for the whole host: one for each entry of `RESILIENCE["CHORES"]`."""

from __future__ import annotations

import logging
from collections.abc import Callable

from resilience.conf import ChoreConfig
from resilience.db.outages import is_outage
from resilience.primitives import Clock, OwnTroubleError, Store, deadline_scope, own_trouble

logger = logging.getLogger("resilience.steward")


class Chore:
    """Run one job; `step` is one run.

    A run starts `every` seconds after the start of the one before, and has `limit` seconds. The job gets the
    epoch of the lease, with which it can fence what it writes.

    Each failure is counted as ("chores", name, "failure"). The log gets one line until the job succeeds
    again: without a traceback for an outage and for a folder that cannot be written, with one for anything
    else, as that may be a bug. If the process itself lacks something (a descriptor, memory, a thread), the
    run raises `OwnTroubleError`, and another process becomes the steward.
    """

    def __init__(
        self, config: ChoreConfig, run: Callable[[int], None], epoch: int, store: Store, clock: Clock
    ):
        self.name = config.name
        self._config = config
        self._run = run
        self._epoch = epoch
        self._store = store
        self._clock = clock
        self._told = ""  # What the log was told last: nothing, "outage" or "error".

    def step(self) -> float:
        """Run the job once, and return the seconds until it is due again."""
        began = self._clock.monotonic()
        outcome, wrong = "success", ""
        try:
            with deadline_scope(self._config.limit, clock=self._clock):
                self._run(self._epoch)
        except Exception as error:  # of any kind: the next run may succeed
            if lacked := own_trouble(error):
                self._store.counters.add("chores", self.name, "failure")
                raise OwnTroubleError(f"the chore {self.name} failed for want of {lacked}") from error
            outcome, wrong = "failure", "outage" if is_outage(error) else "error"
            if wrong != self._told and wrong == "outage":  # Its breaker says the rest.
                kind = type(error).__name__
                logger.warning("the chore %s waits for the end of an outage: %s", self.name, kind)
            elif wrong != self._told and isinstance(error, OSError):
                # A folder: `observe.folders` says the rest.
                logger.warning("the chore %s cannot write: %s", self.name, error)
            elif wrong != self._told:
                logger.exception("the chore %s failed; it is tried again", self.name)
        else:
            if self._told:
                logger.info("the chore %s succeeds again", self.name)
        self._told = wrong
        self._store.counters.add("chores", self.name, outcome)
        return max(began + self._config.every - self._clock.monotonic(), 0.0)
