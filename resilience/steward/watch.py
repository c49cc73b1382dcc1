"""Watch one dependency for the whole host: ping it while it is well, probe it when its open time is over."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from django.db import connections

from resilience.db.failures import is_full
from resilience.primitives import (
    Admission,
    BreakerOpenError,
    CircuitBreaker,
    Clock,
    Outcome,
    OwnTroubleError,
    State,
    deadline_scope,
    own_trouble,
    probing,
)

logger = logging.getLogger("resilience.steward")

# Start to start, in seconds: of pings, and of looks at a breaker that is not closed (an operator may reset it
# at any moment).
PING_EVERY = 1.0
LOOK_EVERY = 0.1
# After a ping that failed there are two more: one at once, and one after these seconds, so that they wait
# side by side. Three failures open the breaker, so that a silent server is known 1.2 s after the first ping.
REPEAT_AFTER = 0.2


class _Failed(NamedTuple):
    """A ping that failed, after `took` seconds."""

    error: BaseException
    took: float


class Watch:
    """Ping or probe one dependency at each `step`, which returns how long to pause before the next.

    `ping` asks the dependency once, within the current deadline, and raises what went wrong. After a failed
    ping two more follow at once. All three count as failures, unless a later one is answered: then none does.
    A successful one is not counted: it says little about the work that users ask for. Nor is a server counted
    that has no connection left: it is there, and those who have one may go on.
    If the process itself lacks what a ping needs, `step` raises `OwnTroubleError`, and another process asks.
    Only a probe closes a breaker, and only when its open time is over. With `pinged=False` there are only
    probes, for a dependency that is expensive to ask.

    `silent` returns when a kept connection was last found silent (monotonic seconds). That may be the fault
    of the network between, so the dependency is pinged at once on a new connection, unless it has answered a
    ping that began later.
    """

    def __init__(
        self,
        breaker: CircuitBreaker,
        ping: Callable[[], object],
        *,
        limit: float,
        clock: Clock,
        pinged: bool = True,
        silent: Callable[[], float] = float,
        repeat_after: float = REPEAT_AFTER,
    ) -> None:
        self.name = f"watch-{breaker.name}"
        self._breaker = breaker
        self._ping = ping
        self._limit = limit
        self._pinged = pinged
        self._clock = clock
        self._next_ping = clock.monotonic()
        self._silent = silent
        self._looked_into = silent()
        self._answered = 0.0  # when the last ping that was answered began
        self._repeat_after = repeat_after

    def step(self) -> float:
        """Do what is due now, and return the seconds until something may be due again."""
        with probing():  # one in shadow shows its state to nobody else
            state = self._breaker.shown()
        if state is not State.CLOSED:
            return self._probe()
        if not self._pinged:
            return LOOK_EVERY
        now = self._clock.monotonic()
        if now < self._next_ping and not self._suspected():
            return min(self._next_ping - now, LOOK_EVERY)
        self._next_ping = now + PING_EVERY
        self._ping_and_count()
        return min(max(self._next_ping - self._clock.monotonic(), 0.0), LOOK_EVERY)

    def _ping_and_count(self) -> None:
        """Ping, and twice more if there is no answer. Count the failures unless a later ping is answered."""
        first = self._ping_once()
        if first is None:
            return
        if is_full(first.error) or own_trouble(*first):
            self._count(first)
            return
        repeated = self._ask_twice_more()
        refuted = repeated is None or all(is_full(each.error) for each in repeated)
        for failed in (first, *(repeated or ())):
            self._count(failed, refuted=refuted)

    def _ping_once(self) -> _Failed | None:
        """Return what went wrong; None if there was an answer."""
        began = self._clock.monotonic()
        error = self._ask()
        if error is None:
            self._answered = max(self._answered, began)
            return None
        return _Failed(error, self._clock.monotonic() - began)

    def _ask_twice_more(self) -> list[_Failed] | None:
        """Ping now and a moment later, side by side; the later ping is left out if the other is answered.

        Return both failures; None if either ping was answered.
        """
        answered = threading.Event()

        def once() -> _Failed | None:
            failed = self._ping_once()
            if failed is None:
                answered.set()
            return failed

        def later() -> _Failed | None:
            try:
                return None if answered.wait(self._repeat_after) else once()
            finally:
                connections.close_all()  # This thread's own.

        with ThreadPoolExecutor(1, thread_name_prefix=self.name) as beside:
            try:
                asked = beside.submit(later)
            except RuntimeError as error:
                raise OwnTroubleError(f"{self.name} cannot ask again, for want of threads") from error
            second = once()
            third = asked.result()
        return None if second is None or third is None else [second, third]

    def _suspected(self) -> bool:
        """Tell, once for each silence of a kept connection, whether no later ping was answered."""
        silent = self._silent()
        if silent <= self._looked_into:
            return False
        self._looked_into = silent
        return silent > self._answered

    def _count(self, failed: _Failed, *, refuted: bool = False) -> None:
        """Count a failed ping, as a call of its own that was admitted; `refuted`: as ignored."""
        try:
            with probing():
                admission = self._breaker.admit()
        except BreakerOpenError:
            return  # other processes have opened it meanwhile
        if refuted:
            self._breaker.settle(admission, Outcome.IGNORED, error=failed.error, operation="ping")
            logger.info(
                "a ping of %s failed, but the next was answered: %s", self._breaker.name, failed.error
            )
            return
        self._settle(admission, failed.error, "ping", failed.took)

    def _probe(self) -> float:
        """Take the permit if the open time is over, ask, and let the answer decide."""
        with probing():
            # Looking counts no refusal; asking would, ten times a second, and nobody was refused anything.
            if self._breaker.refuses():
                rest = self._breaker.snapshot().retry_after
                return min(rest, LOOK_EVERY) if rest > 0 else LOOK_EVERY
            try:
                admission = self._breaker.admit()
            except BreakerOpenError as refusal:
                return min(max(refusal.retry_after, 0.0), LOOK_EVERY)
        began = self._clock.monotonic()
        error = self._ask()
        self._settle(admission, error, "probe", self._clock.monotonic() - began)
        # A probe is a ping too, whatever its result: the next ping is a full interval away.
        self._next_ping = self._clock.monotonic() + PING_EVERY
        return LOOK_EVERY

    def _ask(self) -> BaseException | None:
        try:
            with deadline_scope(self._limit, clock=self._clock):
                self._ping()
        except Exception as error:  # of any kind: `classify` decides what it means
            return error
        return None

    def _settle(self, admission: Admission, error: BaseException | None, operation: str, took: float) -> None:
        if error is None:
            self._breaker.settle(admission, Outcome.SUCCESS, operation=operation)
            return
        full = operation == "ping" and is_full(error)
        outcome = Outcome.IGNORED if full else self._breaker.classify(error)
        self._breaker.settle(admission, outcome, error=error, operation=operation, took=took)
        if lacked := own_trouble(error, took):
            raise OwnTroubleError(f"{self.name} cannot ask, for want of {lacked}") from error
