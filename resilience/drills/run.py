"""One drill: reads before a fault, during it, and until all breakers are closed again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import Event

from resilience import conf, faults, registry
from resilience.drills.breaking import RESTART_WITHIN, Target, broken
from resilience.drills.load import Answer, Load
from resilience.drills.plan import Plan
from resilience.drills.sign_in import Attempt, SignIns
from resilience.primitives import State

GRACE = 1.0
"""Seconds that a recovery may take beyond the open time."""

# Seconds between two looks at the breakers.
_STEP = 0.05
# Sign-ins by password during a fault: enough to open the breaker. With one before and one after the fault
# they are no more than the five a minute that are allowed.
_PASSWORDS = 3
_TROUBLES = ("failure", "slow")


@dataclass(kw_only=True)
class Result:
    """The result of a drill; times are seconds since the first read."""

    plan: Plan
    at: float
    """When it began, in wall seconds."""
    fault: tuple[float, float] = (0.0, 0.0)
    length: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    sign_ins: list[Attempt] = field(default_factory=list)
    states: list[tuple[float, str, str]] = field(default_factory=list)
    """The first state of each breaker and its changes: time, name, state."""
    recovered: float | None = None
    """Seconds from the fault's end until all broken breakers were closed; None if that took too long."""
    met: dict[str, int] = field(default_factory=dict)
    """Calls of each dependency that met the fault. For a real server: that failed, were slow or refused."""


@dataclass(frozen=True)
class Second:
    """One second of a drill, as the terminal shows it."""

    number: int
    phase: str
    answers: list[Answer]
    states: dict[str, str]


def interval(names: Sequence[str]) -> float:
    """Return the longest open time of these breakers, in seconds."""
    configs = conf.breakers()
    return max(configs[name].recovery_timeout for name in names)


def run(
    plan: Plan,
    *,
    who: str,
    tell: Callable[[Second], None],
    say: Callable[[str], None],
    halt: Event,
    target: Target | None = None,
    sign_ins: SignIns | None = None,
) -> Result:
    """Carry out the plan. `tell` is called with each second, `say` with what the operator has to do.

    Raises KeyboardInterrupt soon after `halt` is set, and the errors of `broken`. The fault is ended first.
    """
    result = Result(plan=plan, at=time.time())
    token = (lambda: sign_ins.access_token) if sign_ins is not None else str
    with Load(plan.url, plan.paths, rate=plan.rate, token=token) as load, sign_ins or nullcontext():
        watcher = _Watcher(result, load, tell, halt)
        watcher.watch("before", lambda: load.elapsed() >= plan.around)
        before = {name: _met(plan, name) for name in plan.names}
        with broken(plan, who=who, target=target, say=say) as repaired:
            began = load.elapsed()
            over = began + plan.seconds
            if sign_ins is not None:
                sign_ins.by_password(_PASSWORDS)
            watcher.watch("fault", lambda: load.elapsed() >= over)
            watcher.watch("fault", lambda: repaired() or load.elapsed() >= over + RESTART_WITHIN)
        ended = load.elapsed()
        result.fault = began, ended
        result.met = {name: _met(plan, name) - before[name] for name in plan.names}
        longest = interval(plan.names) + GRACE
        watcher.watch("after", lambda: _closed(plan.names) or load.elapsed() > ended + longest)
        if _closed(plan.names):
            result.recovered = load.elapsed() - ended
        if sign_ins is not None:
            sign_ins.by_password(1)
            tried = len(sign_ins.attempts()) + 1  # One may be under way.
            watcher.watch("after", lambda: len(sign_ins.attempts()) > tried)
        watcher.watch("after", lambda: load.elapsed() >= ended + plan.around)
    result.length = load.elapsed()
    result.answers = sorted(load.answers(), key=lambda answer: answer.at)
    result.sign_ins = sign_ins.attempts() if sign_ins is not None else []
    return result


def _closed(names: Sequence[str]) -> bool:
    return all(registry.breaker(name).shown() is State.CLOSED for name in names)


def _met(plan: Plan, name: str) -> int:
    """Return how many calls of this dependency may have met such a fault so far, this drill or earlier."""
    if plan.kind not in faults.REAL:
        return faults.hits(name)
    breaker = registry.breaker(name)
    calls = sum(total for (_, outcome), total in breaker.calls().items() if outcome in _TROUBLES)
    return calls + breaker.snapshot().rejected


class _Watcher:
    """Note each change of a breaker, and report each second once it is over."""

    def __init__(self, result: Result, load: Load, tell: Callable[[Second], None], halt: Event) -> None:
        self._result = result
        self._load = load
        self._tell = tell
        self._halt = halt
        self._states: dict[str, str] = {}
        self._told = 0
        self._counted = 0

    def watch(self, phase: str, over: Callable[[], bool]) -> None:
        """Do so until `over` returns True; raise KeyboardInterrupt if the drill is to halt."""
        while not over():
            if self._halt.is_set():
                raise KeyboardInterrupt
            now = self._load.elapsed()
            for name, state in registry.states().items():
                if self._states.get(name) != state:
                    self._states[name] = state
                    self._result.states.append((now, name, state))
            if int(now) > self._told:
                self._told = int(now)
                # The answers that came during this second, whenever they were due.
                answers = self._load.answers()
                fresh = answers[self._counted :]
                self._counted = len(answers)
                self._tell(Second(self._told, phase, fresh, dict(self._states)))
            self._halt.wait(_STEP)
