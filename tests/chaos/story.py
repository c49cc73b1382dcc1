"""What the lines of a journal tell when they are put together: calls, and the records in force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from resilience.primitives.rules import State
from tests.chaos.journal import Kind, Line
from tests.chaos.observer import STATES
from tests.chaos.worker import THREADS


@dataclass
class Call:
    """One admitted call. `ends` is when it could no longer do anything: its end, or its process's death."""

    asked: float
    begins: float
    ends: float
    permit_until: float
    generation: int
    failed: bool | None = None
    settled: float | None = None


@dataclass(frozen=True)
class Era:
    """A record that was in force, from `since` to the next one's."""

    generation: int
    state: State
    since: float
    seen: float
    until: float
    over: float


def calls_of(lines: Iterable[Line]) -> list[Call]:
    """Put the lines of each thread together into calls; a killed process ends those of all its threads."""
    calls: list[Call] = []
    running: dict[int, Call] = {}
    dead: set[int] = set()
    for line in lines:
        if line.kind is Kind.CALL:
            # A signal takes a moment to arrive: what is written meanwhile is written by the dead.
            ends = line.at if line.who // THREADS in dead else float("inf")
            running[line.who] = Call(line.x, line.at, ends, line.y, line.m)
            calls.append(running[line.who])
        elif line.kind is Kind.END and line.who in running:
            call = running[line.who]
            call.ends, call.failed = line.at, bool(line.m)
        elif line.kind is Kind.SETTLED and line.who in running:
            running.pop(line.who).settled = line.at
        elif line.kind is Kind.RAISES:
            running.pop(line.who, None)
        elif line.kind in (Kind.KILLED, Kind.DIES):
            life = line.who // THREADS if line.kind is Kind.DIES else line.who
            dead.add(life)
            for hand in range(life * THREADS, (life + 1) * THREADS):
                left = running.pop(hand, None)
                if left is not None:
                    left.ends = min(left.ends, line.at)
    return calls


def eras_of(lines: Iterable[Line]) -> list[Era]:
    records: dict[int, Line] = {}
    for line in lines:
        if line.kind is Kind.RECORD:
            records.setdefault(line.m, line)
    ordered = [records[generation] for generation in sorted(records)]
    overs = [line.x for line in ordered[1:]] + [float("inf")]
    return [
        Era(line.m, STATES[line.n], line.x, line.at, line.y, over)
        for line, over in zip(ordered, overs, strict=True)
    ]
