"""Run the store's own code in each order of its steps: `python -m tests.interleaving`.

Processes that share a store run one step at a time; a step is an access to the mapped file, or a call of the
kernel (a lock taken or given back, a file opened, looked for, replaced). Two processes run in all schedules
with few preemptions; with few preemptions and a death at each step; and with one that is stopped for longer
than a lock is waited for. Three run as `--seeds` say. What must hold is claimed by the scenarios.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
from collections import Counter

from tests.interleaving.defects import DEFECTS
from tests.interleaving.kernel import in_place
from tests.interleaving.report import command, story
from tests.interleaving.scenarios import SCENARIOS
from tests.interleaving.schedule import Bounds, Schedule, parse
from tests.interleaving.search import Chance, Exhaustive, Found, simplest
from tests.interleaving.world import World

# Every schedule of two processes within each of these.
EXHAUSTIVE = (Bounds(3), Bounds(1, deaths=1), Bounds(2, stops=1), Bounds(1, deaths=1, stops=1))
SEEDS = 100_000


class Run:
    """All that is run, and what came of it."""

    def __init__(self, *, seeds: int, seed: int | None) -> None:
        """Run so many seeds, or the schedule of one `seed` alone."""
        self._seeds = range(seeds) if seed is None else range(seed, seed + 1)
        self._alone = seed is not None
        self.looked_at: Counter[str] = Counter()
        self.schedules = 0
        self.broken = 0

    def scenario(self, name: str) -> None:
        """Run one scenario in all ways, and say what came of each."""
        world = World(SCENARIOS[name](), 2)
        with in_place(world):
            for bounds in () if self._alone else EXHAUSTIVE:
                began, found = time.monotonic(), Found()
                for level in Exhaustive(world, bounds).run():
                    found += level
                self._tell(name, str(bounds), found, began)
                for schedule, _ in found.broken:
                    self._show(world, name, schedule)
        self.looked_at += world.looked_at
        world = World(SCENARIOS[name](), 3)
        with in_place(world):
            self._run_seeds(world, name)
        self.looked_at += world.looked_at

    def _run_seeds(self, world: World, name: str) -> None:
        began, found, chance = time.monotonic(), Found(), Chance(world)
        for seed in self._seeds:
            if seed % 1000 == 999:
                gc.collect()
            schedule, failure = chance.run(seed)
            found.schedules += 1
            if failure is not None:
                found.broken.append((schedule, failure))
                sys.stdout.write(f"seed {seed}: {failure}\n")
                break
        self._tell(name, f"3 processes, {len(self._seeds)} seeds from {self._seeds.start}", found, began)
        for schedule, _ in found.broken:
            self._show(world, name, simplest(world, schedule))

    def _tell(self, name: str, what: str, found: Found, began: float) -> None:
        seconds = time.monotonic() - began
        joined = f", {found.joined} of them joined others" if found.joined else ""
        broken = ": BROKEN" if found.broken else ""
        sys.stdout.write(f"{name}: {what}: {found.schedules} schedules{joined}, {seconds:.1f} s{broken}\n")
        sys.stdout.flush()
        self.schedules += found.schedules
        self.broken += len(found.broken)

    def _show(self, world: World, name: str, schedule: Schedule) -> None:
        again = command(name, world.size, schedule)
        sys.stdout.write(f"{story(world, schedule)}\nAgain: {again}\n\n")


def replayed(name: str, processes: int, text: str) -> int:
    """Run one schedule and tell it step by step; return the exit code."""
    world = World(SCENARIOS[name](), processes)
    with in_place(world):
        sys.stdout.write(story(world, parse(text)) + "\n")
    return int(world.failure is not None)


def planted() -> int:
    """Search for each planted defect; return how many were not found."""
    missed = 0
    for defect in DEFECTS:
        with defect.planted():
            world = World(SCENARIOS[defect.scenario](), 2)
            with in_place(world):
                found = Found()
                for level in Exhaustive(world, defect.bounds).run():
                    found += level
        missed += not found.broken
        what = f"{found.broken[0][0]}: {found.broken[0][1][:150]}" if found.broken else "NOT FOUND"
        sys.stdout.write(f"{defect.name}: {found.schedules} schedules of {defect.scenario}: {what}\n")
        sys.stdout.flush()
    return missed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="NAME,…", help=f"some of {', '.join(SCENARIOS)}")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="schedules of three processes for each")
    parser.add_argument("--seed", type=int, help="run the schedule of this seed alone")
    parser.add_argument(
        "--schedule", metavar="'a 17>b …'", help="run this schedule alone, and tell each step"
    )
    parser.add_argument("--processes", type=int, choices=(2, 3), default=2, help="of that schedule")
    parser.add_argument("--defects", action="store_true", help="search for each planted defect instead")
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else list(SCENARIOS)
    if unknown := set(names) - set(SCENARIOS):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    # What the store logs in millions of schedules is of no use here.
    logging.disable(logging.CRITICAL)
    try:
        if arguments.schedule is not None:
            code = replayed(names[0], arguments.processes, arguments.schedule)
        elif arguments.defects:
            code = planted()
        else:
            code = run_all(names, arguments.seeds, arguments.seed)
    finally:
        logging.disable(logging.NOTSET)
    sys.exit(min(code, 1))


def run_all(names: list[str], seeds: int, seed: int | None) -> int:
    """Run these scenarios, and say what was looked at; return how many are broken."""
    began, busy = time.monotonic(), time.process_time()
    run = Run(seeds=seeds, seed=seed)
    for name in names:
        run.scenario(name)
    sys.stdout.write("\n| claim | looked at |\n| --- | ---: |\n")
    sys.stdout.writelines(f"| {claim} | {times} |\n" for claim, times in sorted(run.looked_at.items()))
    sys.stdout.write(
        f"\n{run.schedules} schedules, {run.broken} broken, {time.monotonic() - began:.0f} s "
        f"({time.process_time() - busy:.0f} s of the processor; load {os.getloadavg()[0]:.1f})\n"
    )
    return run.broken


if __name__ == "__main__":
    main()
