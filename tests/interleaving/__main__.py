"""The host's store in each order of the steps of its processes: `make interleaving`.

    python -m tests.interleaving [--only record,lease] [--preemptions 3] [--seeds 100000] [--seed N]
    python -m tests.interleaving --only record --processes 2 --schedule 'a 17>b 30=a'

Of two processes all schedules are run with at most that many preemptions, then all in which one of them dies
and one preemption more happens; of three processes, those that the seeds give. A schedule that breaks a claim
is told step by step, with the command that runs it again; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import time
from collections.abc import Sequence

from tests.interleaving.kernel import in_place
from tests.interleaving.report import command, story
from tests.interleaving.scenarios import SCENARIOS
from tests.interleaving.schedule import LETTERS, Schedule, parse
from tests.interleaving.search import Bounds, Chance, Exhaustive, simplest
from tests.interleaving.world import World, replay


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; return 1 if a schedule broke a claim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", type=_names, default=list(SCENARIOS), help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--preemptions", type=int, default=3, help="of two processes, at most")
    parser.add_argument(
        "--seeds", type=int, default=100_000, help="schedules of three processes, each scenario"
    )
    parser.add_argument("--seed", type=int, default=0, help="the first of them")
    parser.add_argument("--processes", type=int, choices=range(1, len(LETTERS) + 1), default=2)
    parser.add_argument("--schedule", type=parse, help="one schedule, told step by step")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # the store says each time what a dead process has left
    if options.schedule is not None:
        return _told(options.only[0], options.processes, options.schedule)
    broken = [
        name
        for name in options.only
        if _every(name, options.preemptions) or _by_chance(name, options.seed, options.seeds)
    ]
    print("broken: " + ", ".join(broken) if broken else "all claims held")
    return bool(broken)


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(SCENARIOS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: none of {', '.join(SCENARIOS)}")
    return names


def _told(name: str, processes: int, schedule: Schedule) -> int:
    world = World(SCENARIOS[name](), processes)
    with in_place(world):
        print(story(world, schedule))
        return replay(world, schedule) is not None


def _every(name: str, preemptions: int) -> bool:
    """Run all schedules of two processes within the bounds; tell whether one broke a claim."""
    for bounds in (Bounds(preemptions), Bounds(1, deaths=1)):
        world = World(SCENARIOS[name](), 2)
        if bounds.deaths and not world.scenario.deaths:
            continue
        began, number = time.monotonic(), 0
        with in_place(world):
            for found in Exhaustive(world, bounds).run():
                number += found.schedules
                if found.broken:
                    return _tell(world, name, found.broken[0][0])
        print(f"{name}: {number} schedules of 2, {bounds}, {time.monotonic() - began:.1f} s", flush=True)
    return False


def _by_chance(name: str, first: int, number: int) -> bool:
    """Run the schedules of three processes that the seeds give; tell whether one broke a claim."""
    world = World(SCENARIOS[name](), 3)
    began = time.monotonic()
    with in_place(world):
        chance = Chance(world)
        for seed in range(first, first + number):
            if seed % 1000 == 999:
                gc.collect()
                if sys.stderr.isatty():
                    print(f"\r{name}: seed {seed}", end="\r", file=sys.stderr, flush=True)
            schedule, failure = chance.run(seed)
            if failure is not None:
                print(f"{name}: seed {seed}")
                return _tell(world, name, schedule)
    print(f"{name}: {number} seeds of 3 from {first}, {time.monotonic() - began:.1f} s", flush=True)
    return False


def _tell(world: World, name: str, schedule: Schedule) -> bool:
    plain = simplest(world, schedule)
    print(story(world, plain))
    print(f"{name} again: {command(name, world.size, plain)}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
