"""One drill: reads before, a fault, reads until all is well again; and what the breakers did meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from resilience import conf, faults, registry
from resilience.drills.load import Answer, Load
from resilience.observe import events
from resilience.primitives import State

GRACE = 1.0
"""Seconds that a recovery may take beyond the open interval."""

# How often the breakers are looked at, in seconds.
_STEP = 0.05
# A drill whose command was killed ends by itself, so many seconds late.
_LATE = 5.0
# How often the end of a fault is tried while the store is busy.
_ATTEMPTS = 20
_TROUBLES = ("failure", "slow")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is broken (`names`) and how, for how long (`seconds`), under which reads.

    `delay` is how much later an answer comes (latency), or how long it is down and up in turn (flap);
    `around` the seconds of reads before, and at least after, the fault.
    """

    names: Sequence[str]
    kind: str
    seconds: float
    share: float = 1.0
    delay: float = 1.0
    url: str
    paths: Sequence[str]
    rate: float = 20.0
    around: float = 10.0


@dataclass(kw_only=True)
class Result:
    """What was seen; times are seconds since the first read."""

    plan: Plan
    at: float
    """When it began, in wall seconds."""
    fault: tuple[float, float] = (0.0, 0.0)
    length: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    states: list[tuple[float, str, str]] = field(default_factory=list)
    """Each change of a breaker, and what it was at first: time, name, state."""
    recovered: float | None = None
    """Seconds from the fault's end until all broken breakers were closed; None: they were not in time."""
    met: dict[str, int] = field(default_factory=dict)
    """Calls of each broken dependency that failed, were slow or were refused during the fault."""


@dataclass(frozen=True)
class Second:
    """One second of a drill, as the terminal shows it."""

    number: int
    phase: str
    answers: list[Answer]
    states: dict[str, str]


def interval(names: Sequence[str]) -> float:
    """Return the longest time that one of these breakers stays open, in seconds."""
    configs = conf.breakers()
    return max(configs[name].recovery_timeout for name in names)


def run(plan: Plan, *, who: str, tell: Callable[[Second], None]) -> Result:
    """Do it; `tell` hears of each second. The fault ends before all else, whatever happens.

    Raises what `faults.start` raises.
    """
    result = Result(plan=plan, at=time.time())
    with Load(plan.url, plan.paths, rate=plan.rate) as load:
        eye = _Eye(result, load, tell)
        eye.watch("before", lambda: load.elapsed() >= plan.around)
        before = {name: _troubles(name) for name in plan.names}
        with broken(plan, who=who):
            began = load.elapsed()
            eye.watch("fault", lambda: load.elapsed() >= began + plan.seconds)
        ended = load.elapsed()
        result.fault = began, ended
        result.met = {name: _troubles(name) - before[name] for name in plan.names}
        longest = interval(plan.names) + GRACE
        eye.watch("after", lambda: _closed(plan.names) or load.elapsed() > ended + longest)
        if _closed(plan.names):
            result.recovered = load.elapsed() - ended
        eye.watch("after", lambda: load.elapsed() >= ended + plan.around)
    result.length = load.elapsed()
    result.answers = sorted(load.answers(), key=lambda answer: answer.at)
    return result


@contextmanager
def broken(plan: Plan, *, who: str) -> Iterator[None]:
    """Let the fault lie on the plan's dependencies during the block, and write down both ends of it."""
    begun: list[str] = []
    try:
        for name in plan.names:
            begun.append(name)  # A start that was interrupted may have begun.
            faults.start(
                name,
                plan.kind,
                lasts=min(plan.seconds + _LATE, faults.LONGEST),
                share=plan.share,
                seconds=plan.delay,
                who=who,
            )
            _record(plan, name, who, "begins")
        yield
    finally:
        for name in begun:
            _stop(name)
            _record(plan, name, who, "ends")


def _stop(name: str) -> None:
    for _ in range(_ATTEMPTS - 1):
        with suppress(RuntimeError):
            faults.stop(name)
            return
    faults.stop(name)


def _record(plan: Plan, name: str, who: str, phase: str) -> None:
    events.record(
        "drill",
        breaker=name,
        who=who,
        why=f"a drill {phase}: {plan.kind}",
        phase=phase,
        fault=plan.kind,
        share=plan.share,
        delay=plan.delay,
        lasts=plan.seconds,
    )


def _closed(names: Sequence[str]) -> bool:
    return all(registry.breaker(name).shown() is State.CLOSED for name in names)


def _troubles(name: str) -> int:
    """Return how many calls of this dependency failed, were slow or were refused, ever."""
    breaker = registry.breaker(name)
    calls = sum(total for (_, outcome), total in breaker.calls().items() if outcome in _TROUBLES)
    return calls + breaker.snapshot().rejected


class _Eye:
    """Look at the breakers all the time, and tell of each second once it is over."""

    def __init__(self, result: Result, load: Load, tell: Callable[[Second], None]) -> None:
        self._result = result
        self._load = load
        self._tell = tell
        self._states: dict[str, str] = {}
        self._told = 0
        self._counted = 0

    def watch(self, phase: str, over: Callable[[], bool]) -> None:
        while not over():
            now = self._load.elapsed()
            for name, state in registry.states().items():
                if self._states.get(name) != state:
                    self._states[name] = state
                    self._result.states.append((now, name, state))
            if int(now) > self._told:
                self._told = int(now)
                # What came during this second, whenever it was asked for.
                answers = self._load.answers()
                fresh = answers[self._counted :]
                self._counted = len(answers)
                self._tell(Second(self._told, phase, fresh, dict(self._states)))
            time.sleep(_STEP)
