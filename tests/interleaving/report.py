"""A schedule that breaks something, step by step, as people can follow it."""

from __future__ import annotations

from typing import Any

from tests.interleaving.memory import place_name
from tests.interleaving.schedule import Schedule
from tests.interleaving.world import World, replay


def command(name: str, processes: int, schedule: Schedule) -> str:
    """Return the command line that runs this schedule again."""
    return f"python -m tests.interleaving --only {name} --processes {processes} --schedule '{schedule}'"


def story(world: World, schedule: Schedule) -> str:
    """Run the schedule once more; tell each step by number, process, what it does, and where in the code."""
    world.trace = []
    try:
        failure = replay(world, schedule)
        steps = world.trace
    finally:
        world.trace = None
    lines = [_line(world, *step) for step in steps]
    if failure is not None:
        lines.append(f"BROKEN: {failure}")
    return "\n".join(lines)


def _line(world: World, at: int, who: str, what: str, where: Any, more: Any, place: str) -> str:
    if what in ("read", "write") and isinstance(where, int):
        where, more = place_name(world.layout, where), f"{'=' if what == 'read' else ':='} {more}"
    elif what == "read":
        where = place_name(world.layout, where)
    elif "byte" in what:
        where = f"{place_name(world.layout, where // 8)}+{where % 8}"
    text = f"{what} {where} {more}".rstrip()
    return f"{at:5} {who}  {text:<66.66} {place}".rstrip()
