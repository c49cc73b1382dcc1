"""The last failure of each breaker: kept in the store; each cause is logged once in an outage."""

import logging
import os
from collections.abc import Callable

from .host_state import HostState
from .rules import State

log = logging.getLogger("resilience.breaker")

Describe = Callable[[BaseException], str]

# How many logged causes a process remembers in one outage. Further ones are logged each time.
_REMEMBERED = 32
# Seconds after which a cause that comes back is logged again, also if the breaker never opened.
_QUIET = 300.0
# The least seconds between two notes that a process of the host lacks something.
_NOTED_EVERY = 1.0


def describe(error: BaseException) -> str:
    """Name an error by class and code; its message may contain secrets."""
    code = getattr(error, "sqlstate", None) or getattr(error, "errno", None)
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    return name if code is None else f"{name} {code}"


class Notes:
    """One process's notes of a breaker's failures.

    An outage is identified by `Record.window`, which stays the same from the first failure until the breaker
    closes. A cause is logged once on the host, by the first process that meets it. It is logged again in the
    next outage, or after 5 min without it. Two processes that meet it at the same moment may both log it.
    """

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        # The last error's class, and until when another error of this class need not be noted.
        self._kind: type[BaseException] | None = None
        self._until = 0.0
        self._window = -1
        self._said: dict[str, float] = {}  # causes, and when each was last met
        self._lacked: dict[str, float] = {}  # the same, for shortages of the process

    def note(self, state: HostState, error: BaseException, now: float) -> None:
        """Note a failure; each class of error is noted once a second."""
        if self._kind is type(error) and now < self._until:
            return
        self._kind, self._until = type(error), now + 1.0
        name, what = state.name, self._described(state.name, error)
        record = state.current(now)
        window = record.window
        errors = state.store.last_errors
        before = errors.get(state.index)
        errors.put(state.index, state.clock.time(), what, window, now)
        after = errors.get(state.index)  # as far as there is room for it
        if self._window != window or len(self._said) >= _REMEMBERED:
            self._window, self._said = window, {}
        met = self._said.get(what)
        if before and after and before[1:3] == after[1:3]:
            met = before.seen
        if met is None or (record.state is State.CLOSED and now - met >= _QUIET):
            log.warning("%s fails: %s", name, what, extra={"breaker": name})
        self._said[what] = now

    def note_own_trouble(
        self, state: HostState, lacked: str, error: BaseException | None, now: float
    ) -> None:
        """Count a call that ended by what this process lacks; log it once, then after 5 min without it."""
        name, store = state.name, state.store
        if store.layout.counters:
            store.counters.add("own_trouble", name, lacked)
        if store.layout.whole and now - store.lacks.latest(lacked) >= _NOTED_EVERY:
            store.lacks.note(lacked, now)
        met = self._lacked.get(lacked)
        self._lacked[lacked] = now
        if met is None or now - met >= _QUIET:
            what = "a call was slow" if error is None else self._described(name, error)
            log.warning(
                "%s is not blamed: process %s has trouble of its own, with its %s: %s",
                name,
                os.getpid(),
                lacked,
                what,
                extra={"breaker": name, "lacked": lacked},
            )

    def _described(self, name: str, error: BaseException) -> str:
        try:
            return self._describe(error)
        except Exception:
            log.exception("%s: what failed cannot be described", name)
            return describe(error)
