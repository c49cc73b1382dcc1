"""A versioned value: nothing that was told is lost, nobody sees a mixture, nobody is sent back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from resilience.primitives.store.layout import COPIES, SMALL_COPY
from resilience.primitives.store.versioned import Versioned
from tests.interleaving.scenario import Scenario
from tests.interleaving.world import Process, WatchedStore, World


def value_of(store: WatchedStore) -> Versioned[list[str]]:
    return Versioned(store, store.layout.lease.at, SMALL_COPY, [], encode=list, decode=list)


class Record(Scenario):
    """Each process adds to a list and looks at it."""

    name = "record"
    times = 2

    def body(self, process: Process) -> Callable[[], None]:
        value = process.mine = value_of(process.store)
        adds = adding(process, value)

        def body() -> None:
            for _ in range(self.times):
                process.until(adds)
                looks(process, value)

        return body

    def verdict(self, world: World) -> None:
        judge_looks(world)
        final = settled(world)
        for item in sorted(told(world)):
            world.claim("no update that was told is lost", item in final, item, final)


class Late(Record):
    """Each adds once, so that one may be stopped, and the others come in between, at each pair of steps."""

    name = "late"
    times = 1

    def body(self, process: Process) -> Callable[[], None]:
        adds_and_looks = super().body(process)

        def body() -> None:
            adds_and_looks()
            looks(process, process.mine)

        return body


class Newcomer(Record):
    """One process writes more often than there are copies, and others look for the first time."""

    name = "newcomer"

    def body(self, process: Process) -> Callable[[], None]:
        value = process.mine = value_of(process.store)
        adds = adding(process, value)

        def writes() -> None:
            for _ in range(COPIES + 1):
                process.until(adds)

        def only_looks() -> None:
            looks(process, value)
            looks(process, value)

        return only_looks if process.index else writes


def adding(process: Process, value: Versioned[list[str]]) -> Callable[[], bool]:
    items = (f"{process.letter}{number}" for number in count())

    def adds() -> bool:
        # One that could not be told may have been written all the same.
        item = next(items)
        if value.update(lambda last: [*last, item]) is None:
            return False
        process.says("told", item)
        return True

    return adds


def looks(process: Process, value: Versioned[list[str]]) -> None:
    process.says("looks")
    found = value.read()
    process.says("saw", value.version, *found)


def told(world: World) -> set[str]:
    return {str(entry[2]) for entry in world.log if entry[1] == "told"}


def judge_looks(world: World) -> None:
    """Judge all looks in the order in which they were made."""
    known: tuple[Any, ...] = ()
    acked: set[Any] = set()
    before: dict[int, tuple[tuple[Any, ...], set[Any]]] = {}
    versions: dict[int, int] = {}
    for who, what, *words in world.log:
        if what == "told":
            acked.add(words[0])
        elif what == "looks":
            before[who] = known, set(acked)
        elif what == "saw":
            version, *found = words
            world.claim("nobody sees a mixture", len(set(found)) == len(found), found)
            world.claim("nobody is sent back by a version", version >= versions.get(who, 0), version)
            versions[who] = version
            if not world.replaced:
                known_then, acked_then = before[who]
                world.claim(
                    "nobody sees less than others saw before",
                    tuple(found[: len(known_then)]) == known_then,
                    known_then,
                    found,
                )
                world.claim("what was told is seen from then on", acked_then <= set(found), acked_then, found)
            if len(found) > len(known):
                known = tuple(found)


def settled(world: World) -> list[str]:
    """Let everybody who lives look, and one more add; return what all agree on then."""
    for process in world.living():
        world.enter(process)
        process.mine.read()
    newcomer = value_of(world.newcomer())
    newcomer.update(lambda last: [*last, "end"])
    final = newcomer.read()
    for process in world.living():
        world.enter(process)
        seen = process.mine.read()
        world.claim("all agree in the end", seen == final, seen, final)
    return final
