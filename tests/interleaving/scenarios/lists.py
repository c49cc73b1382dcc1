"""Names, and what is counted under them; slots; limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from resilience.primitives.limits import Limits
from resilience.primitives.store import Layout
from tests.interleaving.scenario import Scenario
from tests.interleaving.schedule import Bounds
from tests.interleaving.world import Process, World


class CountersRaised(Scenario):
    """Each process counts under a name of its own, and under one of everybody."""

    name = "counters"
    short = Bounds(1)
    layout = Layout(breakers=1, slots=4, counters=4)

    def body(self, process: Process) -> Callable[[], None]:
        process.store.slot()

        def adds(name: str) -> bool:
            done = process.store.counters.add(name)
            if done:
                process.says("told", name)
            return done

        def body() -> None:
            for name in ("all", process.letter, "all"):
                process.until(adds, name)
            process.says("looks")
            totals = process.store.counters.totals()
            process.says("saw", totals.get(("all",), 0))

        return body

    def verdict(self, world: World) -> None:
        if world.replaced:
            heals(world, {process.index: process.letter for process in world.living()})
            return
        told: Counter[str] = Counter()
        known: dict[int, int] = {}
        for who, what, *more in world.log:
            if what == "told":
                told[more[0]] += 1
            elif what == "looks":
                known[who] = told["all"]
            elif what == "saw":
                world.claim("a count holds what was counted before", more[0] >= known[who], more, known)
        store = world.newcomer()
        names = [name for name in store.counters._names.all() if name]
        world.claim("a name has one place", len(names) == len(set(names)), names)
        totals = {labels[0]: total for labels, total in store.counters.totals().items()}
        for name, count in told.items():
            most = count + world.deaths
            world.claim("no count is lost or doubled", count <= totals.get(name, 0) <= most, told, totals)


def heals(world: World, names: dict[int, str]) -> None:
    """Claim what is promised once a holder of the lock was stopped: a name that is used again is counted."""
    told = []
    for process in [*world.living(), *world.living()]:
        name = names[process.index]
        world.enter(process)
        if process.until(process.store.counters.add, name):
            told.append(name)
    store = world.newcomer()
    found = store.counters._names.all()
    if "" in found or world.deaths:
        # It wrote over a name just as others wrote it, so nobody can read that place any more; or it died as
        # it came back, and what it wrote late stays.
        return
    world.claim("a name has one place", len(found) == len(set(found)), found)
    totals = {labels[0]: total for labels, total in store.counters.totals().items()}
    for name in set(told[len(told) // 2 :]):
        world.claim("a name that is used again is counted", totals.get(name, 0) > 0, told, totals)


_OLD = frozenset(f"old-names-{number}" for number in range(3))


class CountersFull(Scenario):
    """All names are taken by processes that have ended; one comes back, others want new names."""

    name = "counters-full"
    short = Bounds(1)
    names = ("new-names-a", "old-names-2", "new-names-c")
    layout = Layout(breakers=1, slots=5, counters=3)

    def prepare(self, world: World) -> None:
        old = world.newcomer()
        for number in range(3):
            assert old.counters.add(f"old-names-{number}", amount=5 - number)
        old.close()

    def body(self, process: Process) -> Callable[[], None]:
        process.store.slot()
        name = self.names[process.index]

        def adds() -> bool:
            done = process.store.counters.add(name)
            if done:
                process.says("told", name)
            return done

        def body() -> None:
            process.until(adds)
            process.until(adds)
            if process.index == 1:
                process.says("saw", *[name for (name,) in process.store.counters.totals()])

        return body

    def verdict(self, world: World) -> None:
        if world.replaced:
            heals(world, {process.index: self.names[process.index] for process in world.living()})
            return
        told: Counter[tuple[int, str]] = Counter()
        for who, what, *more in world.log:
            if what == "told":
                told[who, more[0]] += 1
            elif what == "saw":
                world.claim("nobody sees a mixture of two names", set(more) <= {*_OLD, *self.names}, more)
        store = world.newcomer()
        totals = {labels[0]: total for labels, total in store.counters.totals().items()}
        living = {process.index for process in world.living()}
        for (who, name), count in told.items():
            if who in living:
                at_least = totals.get(name, 0) >= count
                world.claim("a living process keeps its name, and no count is lost", at_least, told, totals)
            # An old name may have kept its count, and a dead process may have counted once more.
            extra = (3 if name == "old-names-2" else 0) + world.deaths
            at_most = totals.get(name, 0) <= count + extra
            world.claim("nobody counts under another's name", at_most, told, totals)
        if len(living) < 3:
            world.claim("there is room for one more", store.counters.add("late"), totals)


class PoolsFull(Scenario):
    """The same of the gauges of bulkheads."""

    name = "pools-full"
    short = Bounds(1)
    layout = Layout(breakers=1, slots=5, pools=2)

    def prepare(self, world: World) -> None:
        old = world.newcomer()
        for number in range(2):
            assert old.pools.put(f"old{number}", in_use=1, waiting=0, limit=4, rejected=7 - number)
        old.close()

    def body(self, process: Process) -> Callable[[], None]:
        process.store.slot()
        name = "old1" if process.index == 1 else f"new{process.index}"

        def puts(rejected: int) -> bool:
            done = process.store.pools.put(name, in_use=1, waiting=2, limit=3, rejected=rejected)
            if done:
                process.says("told", name, rejected)
            return done

        def body() -> None:
            process.until(puts, 1)
            process.until(puts, 2)

        return body

    def verdict(self, world: World) -> None:
        store = world.newcomer()
        totals = store.pools.totals()
        told = {who: more for who, what, *more in world.log if what == "told"}
        for process in world.living() if not world.replaced else ():
            if process.index not in told:
                continue
            name, rejected = told[process.index]
            gauge = totals.get(name)
            world.claim("a living process keeps its pool", gauge is not None and gauge.limit == 3, totals)
            before = (0, 6) if name == "old1" else (0,)
            exact = gauge is not None and gauge.rejected in [rejected + more for more in before]
            world.claim("no refusal is lost, doubled or another's", exact, told, totals)


class SlotsClaimed(Scenario):
    """Processes claim slots, of which one is that of a dead process."""

    name = "slots"
    layout = Layout(breakers=1, slots=4, counters=2, pools=1)

    def prepare(self, world: World) -> None:
        old = world.newcomer()
        self.old = old.me()
        assert self.old is not None
        old.close()

    def body(self, process: Process) -> Callable[[], None]:
        def body() -> None:
            store = process.store
            process.says("sits", store.slot(), store.me())

        return body

    def verdict(self, world: World) -> None:
        sits: dict[int, Any] = {who: more for who, what, *more in world.log if what == "sits"}
        numbers = [number for _, number in sits.values()]
        world.claim("no number is had twice", len({*numbers, self.old}) == len(numbers) + 1, sits)
        slots = [sits[process.index][0] for process in world.living() if process.index in sits]
        world.claim("a slot is one living process's", len(set(slots)) == len(slots), sits)
        world.claim("there is a slot for everybody", None not in slots, sits)
        for process in world.living():
            world.enter(process)
            process.store.refresh()
        watcher = world.newcomer()
        world.claim(
            "all slots are summed", watcher.used_slots > max(slots, default=-1), watcher.used_slots, slots
        )
        for process in world.processes:
            if process.index in sits:
                lives = watcher.alive(sits[process.index][1])
                world.claim("who lives is known to live, who died is not", lives is not process.dead, sits)
        world.claim("the dead stay dead", not watcher.alive(self.old or 0))


class _KernelClock:
    def __init__(self, world: World) -> None:
        self.monotonic = world.kernel.monotonic
        self.time = world.kernel.monotonic


class LimitsHit(Scenario):
    """Processes hit a limit of three, in a window that has half of the window before in it."""

    name = "limits"
    layout = Layout(breakers=1, slots=4, limits=8)

    def prepare(self, world: World) -> None:
        old = Limits(world.newcomer(), clock=_KernelClock(world))
        for number in range(7):
            old.hit(f"old{number}", 9, 60.0)
            old.hit(f"old{number}", 9, 60.0)
        for _ in range(3):
            assert old.hit("kept", 3, 60.0).allowed
        world.kernel.now += 90.0

    def body(self, process: Process) -> Callable[[], None]:
        limits = Limits(process.store, clock=_KernelClock(process.world))

        def hits(key: str) -> None:
            process.says("hits", key)
            decision = limits.hit(key, 3, 60.0)
            process.says("hit", key, decision.allowed, decision.counted)

        def body() -> None:
            hits("kept")
            hits("kept")
            hits("new")
            hits("new")

        return body

    def verdict(self, world: World) -> None:
        passed: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        asked: Counter[str] = Counter()
        for _, what, *more in world.log:
            if what == "hits":
                asked[more[0]] += 1
            elif what == "hit" and more[2]:
                (passed if more[1] else refused)[more[0]] += 1
        if not world.replaced:
            # Half of the three hits of the window before count on: one more fits.
            world.claim("no more pass than may", passed["kept"] <= 1, passed)
            world.claim("no more pass than may", passed["new"] <= 3, passed)
        for key, most in (("kept", 1), ("new", 3)):
            fair = not refused[key] or asked[key] - refused[key] >= most
            world.claim("nobody is refused for another's hits", fair, key, passed, refused, asked)
