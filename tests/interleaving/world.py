"""A host whose processes run one step at a time, in an order that is given.

Each process is a greenlet with a store of its own on the same memory. It runs the store's own code, and hands
over only where the schedule says so, where it waits, and at its end. So a schedule always gives the same run.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from greenlet import getcurrent, greenlet

from resilience.primitives.store import HostStore, Layout
from tests.interleaving.kernel import Kernel, VirtualPath, in_place
from tests.interleaving.memory import Bytes, Words
from tests.interleaving.schedule import LETTERS, Kind, Schedule, Turn

if TYPE_CHECKING:
    from tests.interleaving.scenario import Scenario

# A run that takes more steps than this never ends.
_MOST_STEPS = 20_000

Decide = Callable[[int], Turn | None]


class Gone(BaseException):
    """Ends what is left of a process: it was killed, or the run is over."""


class BrokenError(AssertionError):
    """A claim does not hold."""


class WatchedStore(HostStore):
    """A process's store, whose memory tells the world of each access."""

    def __init__(self, world: World, *, role: str = "server") -> None:
        self._world = world
        super().__init__(
            cast("Any", VirtualPath("/host")), "s", role=cast("Any", role), create=True, layout=world.layout
        )

    def _use(self, memory: memoryview[int]) -> None:
        super()._use(memory)
        world = self._world
        self.words = cast("memoryview[int]", Words(world, self.words))
        self.times = cast("memoryview[float]", Words(world, self.times))
        self.bytes = cast("memoryview[int]", Bytes(world, self.bytes))


class Process:
    """One process of the host."""

    def __init__(self, world: World, index: int) -> None:
        self.index = index
        self.letter = (LETTERS + "s")[index]
        self.world = world
        self.store = cast("WatchedStore", None)
        self.greenlet: greenlet | None = None
        self.stopped = False
        self.dead = False
        self.over = False
        """Dead, or at its end."""
        self.wakes = 0.0
        self.mine: Any = None
        """What the process looks at the store with, for the verdict."""
        self.seen = 0
        """Stands for all that it did and saw, and so for where it is."""

    def says(self, *words: Any) -> None:
        """Note something for the verdict; all that the verdict looks at is noted, or in the store."""
        self.world.note(self, words)

    def until(self, attempt: Callable[..., object], *arguments: Any) -> bool:
        """Try something up to three times, each second, as callers do when the store was busy."""
        for number in range(3):
            if number:
                self.wait(1.0)
            if attempt(*arguments):
                return True
        return False

    def wait(self, seconds: float) -> None:
        self.world.kernel.sleep(seconds)

    def now(self) -> float:
        return self.world.kernel.monotonic()


class World:
    """One host, which begins each run as the scenario has prepared it."""

    def __init__(self, scenario: Scenario, processes: int = 2) -> None:
        self.scenario = scenario
        self.layout: Layout = scenario.layout
        self.size = processes
        self.looked_at: Counter[str] = Counter()
        self.trace: list[list[Any]] | None = None
        self._memory = bytearray(self.layout.size)
        self.kernel = Kernel(self)
        self._outside = Process(self, len(LETTERS))
        self._begin()
        with in_place(self):
            self.kernel.make("/host/" + self._store_name())
            scenario.prepare(self)
        self._prepared = bytes(self._memory)
        self._paths = {path: file.number for path, file in self.kernel.paths.items()}
        self._prepared_at = self.kernel.now

    def _store_name(self) -> str:
        from resilience.primitives.store.layout import FORMAT

        return f"s-v{FORMAT}.store"

    def _begin(self) -> None:
        self.scheduled = False
        self.process = self._outside
        self.processes: list[Process] = []
        self.log: list[tuple[Any, ...]] = []
        self.told = 0
        self.memory_state = 0
        self.steps = 0
        self.deaths = self.stops = 0
        self.failure: str | None = None

    def mapped(self, path: object, layout: object, *, create: bool) -> tuple[bytearray, int]:
        """Stand in for `open_mapped`, which is no part of what is tried here."""
        return self._memory, self.kernel.paths[str(path)].number

    def pid(self) -> int:
        return 100 + self.process.index

    def newcomer(self, role: str = "server") -> WatchedStore:
        """Open the store as a process that comes afterwards, or came before."""
        self.process = self._outside
        return WatchedStore(self, role=role)

    def enter(self, process: Process) -> Process:
        """Act for a process outside the schedule: before it, or after it."""
        self.process = process
        return process

    @property
    def replaced(self) -> int:
        """How often a holder of the lock was stopped for so long that others went on without it."""
        return self.kernel.replaced

    def living(self) -> list[Process]:
        return [process for process in self.processes if not process.dead]

    def note(self, process: Process, words: tuple[Any, ...]) -> None:
        entry = (process.index, *words)
        self.log.append(entry)
        self.told = hash((self.told, entry))
        if self.trace is not None and self.scheduled:
            self.trace.append([self.steps, process.letter, "says", " ".join(map(str, words)), "", ""])

    def claim(self, text: str, holds: bool, *details: object) -> None:
        """Count that this was looked at; raise `BrokenError` where it does not hold."""
        self.looked_at[text] += 1
        if not holds:
            raise BrokenError(": ".join([text, *map(str, details)]))

    # A run.

    def run(self, first: int, decide: Decide) -> str | None:
        """Run the scenario, asking `decide` at each step; return what broke, if anything did."""
        self._begin()
        self._memory[:] = self._prepared
        self.kernel.begin(self._paths, self._prepared_at)
        self._decide = decide
        self._hub = getcurrent()
        for index in range(self.size):
            process = Process(self, index)
            self.processes.append(process)
            self.process = process
            process.store = WatchedStore(self)
            body = self.scenario.body(process)
            process.greenlet = greenlet(self._life(process, body))
        complete = self._schedule(self.processes[first])
        self.end = hash((self.told, self.memory_state))
        if complete and self.failure is None and self.replaced < 2:
            self.process = self._outside
            try:
                self.scenario.verdict(self)
            except BrokenError as error:
                self.failure = str(error)
        return self.failure

    def _life(self, process: Process, body: Callable[[], None]) -> Callable[[], None]:
        def life() -> None:
            try:
                body()
                self.arrive("ends", "")
            except BrokenError as error:
                self.failure = str(error)
            except Gone:
                return
            except Exception as error:
                self.failure = f"no call ends with an error of its own: {error!r}"
            process.over = True

        return life

    def _schedule(self, process: Process | None) -> bool:
        """Let processes run until all are over; False when the run was given up."""
        self.scheduled = True
        try:
            while process is not None and self.failure is None:
                self.process = process
                process.stopped = False
                self.kernel.now = max(self.kernel.now, process.wakes)
                assert process.greenlet is not None
                chosen = process.greenlet.switch()
                if chosen is GIVEN_UP:
                    return False
                process = chosen or self._next()
            return True
        finally:
            self._end_greenlets()
            self.scheduled = False

    def _end_greenlets(self) -> None:
        for process in self.processes:
            alone = process.greenlet
            process.greenlet = None
            if alone is not None and alone and not alone.dead:
                self.process = process
                process.over, before = True, process.over
                alone.throw(Gone)
                process.over = before

    def _next(self) -> Process | None:
        """Choose who goes on: somebody ready, else who wakes first, else who is stopped."""
        after = self.process.index + 1
        left = [one for one in self.processes[after:] + self.processes[:after] if not one.over]
        awake = [one for one in left if not one.stopped]
        now = self.kernel.now
        ready = [one for one in awake if one.wakes <= now]
        if ready:
            return ready[0]
        if awake:
            return min(awake, key=lambda one: one.wakes)
        return left[0] if left else None

    # What a process meets on its way.

    def arrive(self, what: str, where: object, more: object = "") -> Turn | None:
        """Come to a step of the process that runs: do what the schedule has in mind for it first."""
        if not self.scheduled:
            return None
        process = self.process
        if process.over:
            raise Gone
        at = self.steps
        self.steps = at + 1
        if at > _MOST_STEPS:
            raise BrokenError("nobody hangs: the run does not end")
        self.what = what
        turn = self._decide(at)
        if turn is not None:
            self._turn(process, turn)
        process.seen = hash((process.seen, what, where))
        if self.trace is not None:
            place = _place(sys._getframe(1))
            self.trace.append([at, process.letter, what, where, more, place])
        return turn

    def observe(self, value: object) -> None:
        """Note what the process that runs has seen: what it does next depends on nothing else."""
        process = self.process
        process.seen = hash((process.seen, value))
        if self.trace and self.scheduled and self.trace[-1][1] == process.letter:
            self.trace[-1][4] = value

    def sleep(self, seconds: float) -> None:
        """Let the process wait; with nobody else to run time goes by."""
        if not self.scheduled:
            self.kernel.now += seconds
            return
        process = self.process
        process.wakes = self.kernel.now + seconds
        if self.arrive("sleep", seconds) is None:
            chosen = self._next()
            if chosen is not process:
                self._leave(process, chosen)
        self.kernel.now = max(self.kernel.now, process.wakes)
        process.wakes = 0.0

    def _turn(self, process: Process, turn: Turn) -> None:
        target = self.processes[turn.to]
        if self.trace is not None:
            words = {Kind.YIELDS: "yields to", Kind.STOPS: "is stopped for", Kind.DIES: "is killed;"}
            self.trace.append([turn.at, process.letter, words[turn.kind], target.letter, "", ""])
        if turn.kind is Kind.DIES:
            process.says("dies")
            process.dead = process.over = True
            self.deaths += 1
            self.kernel.end(process)
        elif turn.kind is Kind.STOPS:
            process.stopped = True
            self.stops += 1
        self._leave(process, None if target.over else target)

    def _leave(self, process: Process, chosen: Process | None) -> None:
        self._hub.switch(chosen)
        if process.over:
            raise Gone

    def give_up(self) -> None:
        """End this run: what would come is known."""
        self._hub.switch(GIVEN_UP)
        raise Gone

    def turns(self) -> list[Turn]:
        """Return what else may befall the process that runs, before the step that it has come to."""
        process, at = self.process, self.steps - 1
        others = [one for one in self.processes if one is not process and not one.over]
        found = []
        if self.what not in ("sleep", "ends"):
            found += [Turn(at, Kind.YIELDS, one.index) for one in others]
            if others and self.kernel.holds(process):
                found += [Turn(at, Kind.STOPS, one.index) for one in others]
        heir = others[0].index if others else process.index
        found.append(Turn(at, Kind.DIES, heir))
        return found

    def state(self) -> int:
        """Return what stands for the whole host: two runs that come to the same state go on alike."""
        return hash(
            (
                self.process.index,
                self.memory_state,
                self.kernel.state(),
                self.kernel.now,
                self.told,
                tuple([(it.seen, it.stopped, it.dead, it.over, it.wakes) for it in self.processes]),
            )
        )


GIVEN_UP = object()


def replay(world: World, schedule: Schedule) -> str | None:
    """Run one schedule; return what broke, if anything did."""
    turns = {turn.at: turn for turn in schedule.turns}
    return world.run(schedule.first, turns.get)


def _place(frame: FrameType | None) -> str:
    """Name the line of the product, or of the scenario, that makes a step."""
    while frame is not None:
        file = frame.f_code.co_filename
        if "/primitives/" in file or "/scenarios/" in file:
            return f"{file.rpartition('/')[2]}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return ""
