"""Judge a storm by its journal: each promise, the worst that was measured, and what broke it."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from resilience.primitives.rules import State
from tests.chaos.journal import Kind, Line, read
from tests.chaos.story import Call, calls_of, eras_of
from tests.chaos.strike import place_name
from tests.chaos.worker import CONFIG, THREADS

LONGEST_WAIT = 0.050
LONGEST_BLOCK = 1.0
SEEN_WITHIN = 0.050
# What the measurement itself adds: a thread wakes later than it asked to, a line is written after the fact.
SLACK = 0.020
# A storm writes a line every millisecond or so. When nobody does for so long, the machine stood still.
STALL = 0.25
# A transition is made by a call; with most workers dead or stopped the next one may come so much later.
NEXT_CALL = 0.3


@dataclass
class Promise:
    """One thing that must hold, what was looked at, the worst of it, and each time that it did not hold."""

    text: str
    looked_at: int = 0
    worst: float | None = None
    broken: list[str] = field(default_factory=list)

    def measure(self, value: float, limit: float, where: str) -> None:
        self.looked_at += 1
        self.worst = value if self.worst is None else max(self.worst, value)
        if value > limit:
            self.broken.append(f"{value:.3f} s {where}")


class Verdict:
    """Read a journal and judge it."""

    def __init__(self, journal: Path) -> None:
        lines = sorted(read(journal), key=lambda line: line.at)
        self.calls = calls_of(lines)
        self.eras = eras_of(lines)
        self.strikes = Counter((line.kind, bool(line.n)) for line in lines if line.kind in _STRIKES)
        self.places = Counter(place_name(line.m) for line in lines if line.kind in _STRIKES)
        self.late_probes = 0
        self._stalls = [
            (one.at, next_one.at) for one, next_one in pairwise(lines) if next_one.at - one.at > STALL
        ]
        self._stopped_holders = [
            line.at
            for line in lines
            if line.kind is Kind.STOPS and (line.n or place_name(line.m).startswith("store/lock.py"))
        ]
        self.promises = [
            self._permits(),
            self._open_never_calls(),
            _never_back(lines),
            _short_waits(lines),
            self._lock_comes_free(lines),
            self._trips_in_time(),
            self._probes_in_time(),
            self._goes_on_half_open(),
            _no_crash(lines),
        ]

    def _permits(self) -> Promise:
        """At no moment do more calls run on a valid permit than may."""
        promise = Promise(f"at most {CONFIG.half_open_max_calls} call runs on a valid permit")
        moments: list[tuple[float, int, Call]] = []
        for call in self.calls:
            if not call.permit_until:
                continue
            if call.begins >= call.permit_until:
                self.late_probes += 1
                continue
            promise.looked_at += 1
            ends = min(call.ends, call.permit_until)
            if ends > call.begins:
                moments += [(call.begins, 1, call), (ends, -1, call)]
        running = 0
        promise.worst = 0
        for at, step, call in sorted(moments, key=lambda moment: moment[:2]):
            running += step
            promise.worst = max(promise.worst, running)
            if running > CONFIG.half_open_max_calls:
                promise.broken.append(f"{running} at {at:.6f}, generation {call.generation}")
        return promise

    def _open_never_calls(self) -> Promise:
        """Who asks an open breaker, once everybody can see that it is open, is refused."""
        promise = Promise("an open breaker never calls")
        opened = [era for era in self.eras if era.state is State.OPEN]
        starts = [era.seen + SEEN_WITHIN for era in opened]
        for call in self.calls:
            promise.looked_at += 1
            place = bisect_right(starts, call.asked) - 1
            if place >= 0 and call.begins < min(opened[place].until, opened[place].over):
                promise.broken.append(
                    f"asked {call.asked - opened[place].seen:.3f} s after generation "
                    f"{opened[place].generation} was seen open, called as generation {call.generation}"
                )
        return promise

    def _lock_comes_free(self, lines: list[Line]) -> Promise:
        """A holder that was stopped holds up others for a second."""
        promise = Promise("nobody is refused the lock more than 1 s after it was taken")
        taken = 0.0
        asleep = _asleep_while_asking(lines)
        for line in lines:
            in_lock = line.kind is Kind.STOPS and place_name(line.m).startswith("store/lock.py")
            if in_lock or (line.kind is Kind.WAITED and line.m) or (line.who, line.at) in asleep:
                taken = line.at
            elif line.kind is Kind.WAITED and not line.n and taken:
                promise.measure(
                    self._between(taken, line.at), LONGEST_BLOCK + LONGEST_WAIT + SLACK, f"by {line.who}"
                )
        return promise

    def _between(self, begins: float, ends: float) -> float:
        """Return the seconds between two moments in which the machine ran."""
        stood = sum(max(0.0, min(ends, end) - max(begins, begin)) for begin, end in self._stalls)
        return ends - begins - stood

    def _blocked(self, begins: float, ends: float) -> float:
        """Return how long a transition may take that could have been made at `begins`."""
        holders = sum(1 for stop in self._stopped_holders if begins - LONGEST_BLOCK < stop < ends)
        return max(1, holders) * LONGEST_BLOCK + NEXT_CALL

    def _trips_in_time(self) -> Promise:
        """Once the rule is met, the breaker is open within a second."""
        promise = Promise("it opens within 1 s of the last failure that it takes")
        by_generation: defaultdict[int, list[Call]] = defaultdict(list)
        for call in self.calls:
            if not call.permit_until:
                by_generation[call.generation].append(call)
        for era in self.eras:
            if era.state is State.CLOSED:
                for met, until in _rule_met(by_generation[era.generation], era.over):
                    limit = self._blocked(met, until)
                    promise.measure(self._between(met, until), limit, f"in generation {era.generation}")
        return promise

    def _probes_in_time(self) -> Promise:
        """Once the open time is over, a probe is let through within a second."""
        promise = Promise("it lets a probe through within 1 s of the end of its open time")
        for era, following in pairwise(self.eras):
            if era.state is State.OPEN and following.state is State.HALF_OPEN:
                begins = max(era.until, era.seen)
                limit = self._blocked(begins, following.since)
                promise.measure(
                    self._between(begins, following.since), limit, f"after generation {era.generation}"
                )
        return promise

    def _goes_on_half_open(self) -> Promise:
        """A probe that hangs, dies or is lost holds up the next one only while its permit lasts."""
        promise = Promise("half-open lasts no longer than a lost permit and 1 s without a probe")
        probes: defaultdict[int, list[Call]] = defaultdict(list)
        for call in self.calls:
            if call.permit_until:
                probes[call.generation].append(call)
        for era in self.eras:
            if era.state is State.HALF_OPEN and era.over != float("inf"):
                free = era.since
                for call in sorted(probes[era.generation], key=lambda call: call.begins):
                    limit = CONFIG.permit_lasts + self._blocked(free, call.begins)
                    promise.measure(
                        self._between(free, call.begins), limit, f"in generation {era.generation}"
                    )
                    free = max(free, min(call.ends, call.permit_until))
                limit = CONFIG.permit_lasts + self._blocked(free, era.over)
                promise.measure(
                    self._between(free, era.over), limit, f"at the end of generation {era.generation}"
                )
        return promise


_STRIKES = (Kind.DIES, Kind.STOPS, Kind.RAISES)


def _rule_met(calls: list[Call], over: float) -> Iterable[tuple[float, float]]:
    """Yield when the breaker must have known `failure_threshold` failures in a row, and when it moved on.

    A result is taken at some moment between a call's end and the return of `settle`: only failures that are
    in a row whatever that moment was are looked at, and a success that may lie between them excuses them.
    """
    taken = sorted(
        (call for call in calls if call.failed and call.settled is not None),
        key=lambda call: call.settled or 0,
    )
    successes = [
        (call.ends, float("inf") if call.settled is None else call.settled)
        for call in calls
        if call.failed is False
    ]
    number = CONFIG.failure_threshold
    free_from = 0.0
    for place in range(number - 1, len(taken)):
        run = taken[place - number + 1 : place + 1]
        first, met = min(call.ends for call in run), run[-1].settled or 0.0
        if first < free_from or met - first > CONFIG.window * 0.8:
            continue
        later = [began for began, ended in successes if ended >= first]
        if any(began <= met for began in later):
            continue
        until = min([over, *later])
        if until != float("inf"):
            yield met, until
        free_from = until


def _asleep_while_asking(lines: Iterable[Line]) -> set[tuple[int, float]]:
    """Find who was stopped from outside while it asked for the lock, and perhaps had it, unsaid."""
    stopped: dict[int, Line] = {}
    found = set()
    for line in lines:
        if line.kind is Kind.STOPPED:
            stopped[line.who] = line
        elif line.kind is Kind.WAITED and line.n and line.who // THREADS in stopped:
            asleep = stopped[line.who // THREADS]
            found.add((asleep.who, asleep.at))
    return found


def _never_back(lines: Iterable[Line]) -> Promise:
    promise = Promise("counters and generations never go back")
    highest = 0
    for line in lines:
        if line.kind is Kind.RECORD:
            promise.looked_at += 1
            if line.m < highest:
                promise.broken.append(f"generation {line.m} was seen after {highest}")
            highest = max(highest, line.m)
        elif line.kind is Kind.COUNTS:
            promise.broken.append(f"a count went from {line.m} to {line.n}")
    return promise


def _short_waits(lines: Iterable[Line]) -> Promise:
    promise = Promise("nobody waits longer than 50 ms for a lock")
    for line in lines:
        if line.kind is Kind.WAITED and not line.n:
            promise.measure(line.y, LONGEST_WAIT + SLACK, f"by {line.who} ({line.x:.3f} s in all)")
    return promise


def _no_crash(lines: Iterable[Line]) -> Promise:
    promise = Promise("no call ends with an error of the breaker's own")
    for line in lines:
        if line.kind in (Kind.CALL, Kind.REFUSED):
            promise.looked_at += 1
        elif line.kind is Kind.CRASHED:
            promise.broken.append(f"{line.who} crashed")
    return promise
