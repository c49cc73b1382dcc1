"""Breakers in the store: orders, permits, counts of failures, and places that are given back."""

from __future__ import annotations

from collections.abc import Callable

from resilience.primitives import BreakerConfig, CircuitBreaker, Outcome, State
from resilience.primitives.errors import BreakerOpenError
from resilience.primitives.store import Layout
from tests.interleaving.scenario import Scenario
from tests.interleaving.scenarios.lists import _KernelClock
from tests.interleaving.schedule import Bounds
from tests.interleaving.world import Process, WatchedStore, World

OPEN_FOR = 15.0


def breaker_of(
    world: World, store: WatchedStore, *, key: str = "database", failures: int = 1
) -> CircuitBreaker:
    config = BreakerConfig(failure_threshold=failures, recovery_timeout=OPEN_FOR, permit_timeout=100.0)
    return CircuitBreaker(name="database", key=key, config=config, store=store, clock=_KernelClock(world))


def asks(process: Process, breaker: CircuitBreaker, ends: Outcome) -> None:
    """Make a call, if it may be made."""
    process.says("asks")
    try:
        admission = breaker.admit()
    except BreakerOpenError:
        process.says("refused")
        return
    process.says("passes", bool(admission.permit))
    process.says("settles")
    breaker.settle(admission, ends)
    process.says("settled", ends is Outcome.FAILURE)


class OrdersTold(Scenario):
    """One process gives orders, and others call, fail and open the breaker."""

    name = "orders"
    short = Bounds(1)

    def prepare(self, world: World) -> None:
        breaker_of(world, world.newcomer()).call(lambda: None)

    def body(self, process: Process) -> Callable[[], None]:
        process.store.role = "server" if process.index else "command"
        breaker = process.mine = breaker_of(process.world, process.store)
        breaker.refuses()

        def isolates() -> bool:
            process.says("orders", "isolate")
            done = breaker.isolate(who=process.letter, why="test")
            process.says("told", "isolate", done)
            return done

        def frees() -> bool:
            process.says("orders", "auto")
            done = breaker.auto(who=process.letter, why="test")
            process.says("told", "auto", done)
            return done

        def steers() -> None:
            process.until(isolates)
            process.until(frees)
            process.until(isolates)

        def calls() -> None:
            asks(process, breaker, Outcome.SUCCESS)
            asks(process, breaker, Outcome.FAILURE)

        return calls if process.index else steers

    def verdict(self, world: World) -> None:
        isolated = False
        during: dict[int, bool] = {}
        for who, what, *more in world.log:
            if what == "told" and more[1]:
                isolated = more[0] == "isolate"
            elif what == "orders":
                isolated = False
                during = dict.fromkeys(during, False)
            elif what == "asks":
                during[who] = isolated
            elif what == "passes" and not world.replaced:
                world.claim("an order that was told is in force", not during[who], world.log)
        for process in world.living():
            world.enter(process)
            process.mine.refuses()
        newcomer = breaker_of(world, world.newcomer())
        if isolated:
            world.claim("an order that was told is in force in the end", newcomer.snapshot().isolated)


class PermitsTaken(Scenario):
    """The open time is over: one probe goes at a time."""

    name = "permits"
    short = Bounds(1)

    def prepare(self, world: World) -> None:
        breaker = breaker_of(world, world.newcomer())
        breaker.settle(breaker.admit(), Outcome.FAILURE)
        assert breaker.shown() is State.OPEN
        world.kernel.now += OPEN_FOR

    def body(self, process: Process) -> Callable[[], None]:
        breaker = breaker_of(process.world, process.store)
        breaker.shown()
        ends = Outcome.SUCCESS if process.index else Outcome.IGNORED

        def body() -> None:
            asks(process, breaker, ends)
            asks(process, breaker, ends)

        return body

    def verdict(self, world: World) -> None:
        probing: set[int] = set()
        for who, what, *more in world.log:
            if what == "passes" and more[0]:
                world.claim("one probe goes at a time", not probing, who, probing)
                probing.add(who)
            elif what in ("settles", "dies"):
                probing.discard(who)
        newcomer = breaker_of(world, world.newcomer())
        world.kernel.now += 200.0
        world.claim("the next probe may go", not newcomer.refuses(), world.log)


class FailuresCounted(Scenario):
    """Each process fails, and together they fail often enough."""

    name = "failures"
    short = Bounds(1)

    def prepare(self, world: World) -> None:
        breaker_of(world, world.newcomer(), failures=3).call(lambda: None)

    def body(self, process: Process) -> Callable[[], None]:
        breaker = breaker_of(process.world, process.store, failures=3)
        breaker.refuses()
        # Three in all: of two processes the first fails twice.
        times = 2 if process.index == 0 and process.world.size == 2 else 1

        def body() -> None:
            for _ in range(times):
                asks(process, breaker, Outcome.FAILURE)

        return body

    def verdict(self, world: World) -> None:
        failed = sum(1 for _, what, *more in world.log if what == "settled" and more[0])
        breaker = breaker_of(world, world.newcomer(), failures=3)
        if failed >= 3 and not world.replaced:
            world.claim("three failures in a row open it", breaker.shown() is State.OPEN, breaker.snapshot())


class PlacesFull(Scenario):
    """All places are of breakers that nobody uses; one is ordered, or used again, as another one takes it."""

    name = "breakers-full"
    short = Bounds(1)
    layout = Layout(breakers=2, slots=5)

    def prepare(self, world: World) -> None:
        for number in range(2):
            old = world.newcomer()
            breaker_of(world, old, key=f"old{number}").call(lambda: None)
            old.close()
            world.kernel.now += 10.0

    def body(self, process: Process) -> Callable[[], None]:
        world = process.world
        if process.index == 1:
            process.store.role = "command"
            ordered = breaker_of(world, process.store, key="old0")

            def orders() -> None:
                if ordered.isolate(who="b", why="test") and ordered.shared:
                    process.says("told")

            return orders
        process.store.slot()
        key = "old1" if process.index else "new"
        used = breaker_of(world, process.store, key=key)

        def uses() -> None:
            asks(process, used, Outcome.SUCCESS)
            process.says("has", key, used.shared)

        return uses

    def verdict(self, world: World) -> None:
        told = any(what == "told" for _, what, *_ in world.log)
        names = world.newcomer().breaker_names.all()
        found = [name for name in names if name]
        world.claim("a name has one place", len(found) == len(set(found)), names)
        if told and not world.replaced:
            ordered = breaker_of(world, world.newcomer(), key="old0")
            world.claim("an order that was told is in force", ordered.snapshot().isolated, names, world.log)
        living = {process.index for process in world.living()}
        for who, what, *more in world.log:
            if what == "has" and more[1] and who in living and not world.replaced:
                world.claim("a living process keeps its place", more[0] in found, names, world.log)
        for name in found:
            if name != "old0":
                other = breaker_of(world, world.newcomer(role="command"), key=name)
                world.claim("nobody is given another's order", other.snapshot().override is None, name)
