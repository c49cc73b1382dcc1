"""Run a scenario in many orders: all with few turns, or those that a seed gives."""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.interleaving.schedule import Bounds, Kind, Schedule, Turn
from tests.interleaving.world import World, replay


@dataclass
class Found:
    """What came of a search."""

    schedules: int = 0
    """Schedules that were run."""
    joined: int = 0
    """How many of them came to a state from which all that follows had been run."""
    ends: set[int] = field(default_factory=set)
    """Stand for the notes and the memory with which the others ended."""
    broken: list[tuple[Schedule, str]] = field(default_factory=list)

    def __iadd__(self, other: Found) -> Found:
        self.schedules += other.schedules
        self.joined += other.joined
        self.ends |= other.ends
        self.broken += other.broken
        return self


class Exhaustive:
    """Run every schedule within the bounds, the plainest first, so that what breaks is as plain as can be.

    A run joins an earlier one when it comes to a state that this was in: of memory, locks, clock, notes, and
    of all that each process has seen. It is ended then: what can follow was run, or is about to be. With
    `joins` False it is run to its end.
    """

    def __init__(self, world: World, bounds: Bounds, *, joins: bool = True) -> None:
        self._world = world
        self._bounds = bounds
        self._joins = joins
        self._known: set[int] = set()
        self._next: list[Schedule] = []
        self._schedule = Schedule()
        self._left: dict[Kind, int] = {}

    def run(self) -> Iterator[Found]:
        """Yield what came of each level: no turn, one, two …; end with the first that breaks something."""
        level = [Schedule(first) for first in range(self._world.size)]
        while level:
            found = Found()
            for number, schedule in enumerate(level):
                if number % 1000 == 999:
                    gc.collect()
                self._run(schedule, found)
                if found.broken:
                    yield found
                    return
            yield found
            level, self._next = self._next, []

    def _run(self, schedule: Schedule, found: Found) -> None:
        kinds = [turn.kind for turn in schedule.turns]
        deaths, stops, bounds = kinds.count(Kind.DIES), kinds.count(Kind.STOPS), self._bounds
        turns = bounds.turns + deaths - len(kinds)
        self._left = {
            Kind.YIELDS: turns,
            Kind.STOPS: min(turns, bounds.stops - stops),
            Kind.DIES: bounds.deaths - deaths,
        }
        self._schedule = schedule
        plan = {turn.at: turn for turn in schedule.turns}
        last = schedule.turns[-1].at if schedule.turns else -1
        given_up = False
        world, known, expands = self._world, self._known, any(self._left.values())

        def decide(at: int) -> Turn | None:
            if at <= last:
                return plan.get(at)
            nonlocal given_up
            state = world.state()
            if state in known and self._joins:
                given_up = True
                world.give_up()
            known.add(state)
            if expands:
                self._branch()
            return None

        failure = world.run(schedule.first, decide)
        found.schedules += 1
        found.joined += given_up
        if not given_up:
            found.ends.add(world.end)
        if failure is not None:
            found.broken.append((schedule, failure))

    def _branch(self) -> None:
        first, before = self._schedule
        for turn in self._world.turns():
            if self._left[turn.kind] > 0:
                self._next.append(Schedule(first, (*before, turn)))


class Chance:
    """Run the schedules that seeds give. A seed stands for one schedule, on each machine."""

    def __init__(self, world: World) -> None:
        self._world = world

    def run(self, seed: int) -> tuple[Schedule, str | None]:
        world = self._world
        rng = random.Random(f"{world.scenario.name}/{seed}")  # noqa: S311 - repeatable, no secret
        # Some hand over at almost each step, some a few times in all.
        each = rng.choice((0.3, 0.1, 0.03, 0.01))
        stops, dies = rng.choice((0.0, 0.1, 0.5)), rng.choice((0.0, 0.0, 0.02, 0.1))
        chance, choice = rng.random, rng.choice
        first = rng.randrange(world.size)
        done: list[Turn] = []

        def decide(at: int) -> Turn | None:
            process = world.process
            waits = world.what in ("sleep", "ends")
            if not waits and chance() >= each:
                return None
            others = [one for one in world.processes if one is not process and not one.over]
            if not others:
                return None
            target = choice(others)
            kind = Kind.YIELDS
            if chance() < dies and world.deaths < world.size - 1:
                kind = Kind.DIES
            elif not waits and chance() < stops and world.stops < 2 and world.kernel.holds(process):
                kind = Kind.STOPS
            turn = Turn(at, kind, target.index)
            done.append(turn)
            return turn

        failure = world.run(first, decide)
        return Schedule(first, tuple(done)), failure


def simplest(world: World, schedule: Schedule) -> Schedule:
    """Leave out of a schedule that breaks a claim each turn that this claim breaks without."""
    failure = replay(world, schedule) or ""
    claim = failure.partition(":")[0]
    left = list(schedule.turns)
    again = True
    while again:
        again = False
        for turn in list(left):
            fewer = Schedule(schedule.first, tuple(one for one in left if one is not turn))
            if (replay(world, fewer) or "").partition(":")[0] == claim:
                left.remove(turn)
                again = True
    return Schedule(schedule.first, tuple(left))
