"""What the steward does for the whole host beside watching: one job of `RESILIENCE["CHORES"]` each."""

from __future__ import annotations

import logging
from collections.abc import Callable

from resilience.conf import ChoreConfig
from resilience.db.outages import is_outage
from resilience.primitives import Clock, OwnTroubleError, Store, deadline_scope, own_trouble

logger = logging.getLogger("resilience.steward")


class Chore:
    """Run one job, start to start `every` seconds, each run within its `limit`; `step` is one run.

    The job gets the epoch of the lease, to fence what it leaves behind. One that fails is counted as
    ("chores", name, "failure") each time, but told to the log once until it succeeds again: an outage in a
    line, a folder that takes nothing too, and what may be a bug with its traceback. One that failed by what
    this process lacks raises `OwnTroubleError`, so that another process does it.
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
        self._told = ""  # What the log knows: nothing is wrong, "outage" or "error".

    def step(self) -> float:
        """Run the job once, and return the seconds until it is due again."""
        began = self._clock.monotonic()
        outcome, wrong = "success", ""
        try:
            with deadline_scope(self._config.limit, clock=self._clock):
                self._run(self._epoch)
        except Exception as error:  # whatever it is, the next run may do better
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
