"""The run: a real server, its real dependencies behind proxies, load, faults and deaths by the plan."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import psycopg

from resilience.drills.load import Answer
from tests.faultproxy import FaultProxy
from tests.functional.conftest import FIXTURES
from tests.functional.outages import Site
from tests.ledger.storm import SLOW_COMMIT, contradictions
from tests.ledger.writers import Ledger, Writer
from tests.outage_table.load import USUAL
from tests.servers import PostgresServer, RedisServer
from tests.servers.process import ServerProcess
from tests.soak.plan import BETWEEN_KILLS, Fault, Plan
from tests.soak.readers import Readers
from tests.soak.sign_ins import MAKE_PEOPLE, SignIns
from tests.soak.watch import Sample, Watch, look, process

WRITERS = 2
_PAUSE = 1.0
# A write may meet one fault after the other, and an open interval after each of them.
_PATIENCE = 180.0
# After the last fault all must be well again within this.
RECOVERY = 60.0
# An export of the catalogue is niced, and the steward ends one after five minutes.
LONGEST_CHILD = 300.0
_WORDS = (
    "art",
    "bio",
    "chem",
    "dance",
    "film",
    "history",
    "jazz",
    "law",
    "math",
    "music",
    "physics",
    "theory",
)
_ORDERS = ("title", "-title", "level", "-level", "credits", "-credits", "duration_hours", "-duration_hours")


@dataclass(kw_only=True)
class Soak:
    """What was seen. Times are seconds from the beginning, `began` is it in monotonic seconds."""

    plan: Plan
    began: float = 0.0
    length: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    contradictions: list[str] = field(default_factory=list)
    sign_ins: Counter[str] = field(default_factory=Counter)
    strange_sign_ins: list[str] = field(default_factory=list)
    broken: list[tuple[float, float]] = field(default_factory=list)
    """Connections that broke: asked, broke."""
    kills: list[float] = field(default_factory=list)
    faults: list[tuple[float, float, Fault]] = field(default_factory=list)
    """As they came: begun, ended, which."""
    witness: int = 0
    samples: list[Sample] = field(default_factory=list)
    well_after: float | None = None
    """Seconds from the end of the load until a new read was live and nothing degraded; None: never."""
    alone_after: float | None = None
    """Seconds from then until nothing ran beside master and workers; None: something went on and on."""
    logged: Counter[str] = field(default_factory=Counter)
    """Errors in the server's log by their message, and the first lines of what nobody caught."""


class _World:
    """The servers of the run, and how each of them is broken and mended."""

    def __init__(self, stack: ExitStack, plan: Plan, open_for: str) -> None:
        database, cache = stack.enter_context(PostgresServer()), stack.enter_context(RedisServer())
        self.database = database
        self.servers: dict[str, ServerProcess] = {"database": database, "cache": cache}
        self.wires = {
            name: stack.enter_context(FaultProxy(server.port)) for name, server in self.servers.items()
        }
        self.site = Site(
            database,
            self.wires["database"],
            workers=plan.workers,
            REDIS_URL=f"redis://127.0.0.1:{self.wires['cache'].port}/0",
            OUTAGE_OPEN_FOR=open_for,
        )
        fixtures = [f"fixtures/{name}.json" for name in FIXTURES]
        for command in (["migrate"], ["loaddata", *fixtures], ["fallback", "export"]):
            self.site.manage(*command, "--verbosity=0").check_returncode()
        made = self.site.manage("shell", "--verbosity=0", "-c", MAKE_PEOPLE)
        made.check_returncode()
        self.site.token = made.stdout.strip()
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(SLOW_COMMIT)
        stack.enter_context(self.site)

    def begin(self, fault: Fault) -> None:
        for name in fault.victims:
            if fault.kind == "kill":
                self.servers[name].kill()
            elif fault.kind == "freeze":
                self.servers[name].freeze()
            elif fault.kind == "slow":
                self.wires[name].set("latency", delay=fault.delay)
            else:
                self.wires[name].set(fault.kind)

    def end(self, fault: Fault) -> None:
        for name in fault.victims:
            if fault.kind == "kill":
                self.servers[name].start()
            elif fault.kind == "freeze":
                self.servers[name].thaw()
            else:
                self.wires[name].set("pass")


def run(plan: Plan, *, open_for: str, step: float, tell: Callable[[str], None]) -> Soak:
    """Carry out the plan; `tell` hears of each fault, each death, and how it stands each `step` seconds.

    `open_for` is the open interval of all breakers in seconds; empty: production's.
    """
    soak = Soak(plan=plan)
    with ExitStack() as stack:
        world = _World(stack, plan, open_for)
        site, ledger, lock = world.site, soak.ledger, threading.Lock()
        soak.witness = site.workers()[0]
        sign_ins = SignIns(site)
        clients: list[Writer | SignIns] = [
            *(Writer(site, ledger, lock, pause=_PAUSE, patience=_PATIENCE) for _ in range(WRITERS)),
            sign_ins,
        ]
        with Readers(site.url, paths(plan), rate=plan.rate) as load:
            soak.began = load.began
            with Watch(site, now=load.elapsed, step=min(step, 2.0)) as watch:
                soak.samples = watch.samples
                for client in clients:
                    client.start()
                timetable = _Timetable(world, soak, load, tell)
                while load.elapsed() < plan.seconds:
                    tell(_standing(soak, load))
                    timetable.until(min(load.elapsed() + step, plan.seconds))
                for client in clients:
                    client.stopping.set()
        soak.length = load.elapsed()
        soak.well_after = _until(lambda: _is_well(site), RECOVERY)
        soak.alone_after = _until(lambda: _is_alone(site), LONGEST_CHILD)
        for client in clients:
            client.join(_PATIENCE + 30.0)
        soak.answers = load.answers()
        soak.sign_ins, soak.strange_sign_ins = sign_ins.answers, sign_ins.strange
        soak.broken = [
            *((asked - soak.began, broke - soak.began) for asked, broke in ledger.broken + sign_ins.broken),
            *((each.at, each.at + each.seconds) for each in soak.answers if each.status == 0),
        ]
        soak.contradictions = contradictions(ledger, world.database)
        soak.logged = _logged(site.log.read_text(errors="replace"))
    return soak


def paths(plan: Plan) -> list[str]:
    """Return what is read, in order: a third of it was never asked before."""
    chance = random.Random(plan.seed)  # noqa: S311 - a load, no secret
    new = [
        f"/api/courses?search={word}&page_size={size}&ordering={order}"
        for word in _WORDS
        for size in range(1, 101)
        for order in _ORDERS
    ]
    chance.shuffle(new)
    count = int(plan.rate * (plan.seconds + RECOVERY))
    return [new.pop() if new and chance.random() < 1 / 3 else chance.choice(USUAL) for _ in range(count)]


class _Timetable:
    """Let the plan's events happen."""

    def __init__(self, world: _World, soak: Soak, load: Readers, tell: Callable[[str], None]) -> None:
        self._world = world
        self._soak = soak
        self._load = load
        self._tell = tell
        self._chance = random.Random(soak.plan.seed)  # noqa: S311 - a storm, no secret
        self._kills = deque(soak.plan.kills)
        self._faults = deque(soak.plan.faults)
        self._begun: float | None = None  # when the first of these faults began

    def until(self, end: float) -> None:
        """Do what is due, and return when that second has come."""
        while (now := self._load.elapsed()) < end:
            if self._faults and self._begun is None and now >= self._faults[0].begins:
                self._begun = now
                self._tell(f"{now:6.0f} s  {self._faults[0]}")
                self._world.begin(self._faults[0])
            if self._begun is not None and now >= self._faults[0].ends:
                fault = self._faults.popleft()
                self._world.end(fault)
                self._soak.faults.append((self._begun, self._load.elapsed(), fault))
                self._begun = None
            if self._kills and now >= self._kills[0]:
                self._kill()
            time.sleep(0.05)

    def _kill(self) -> None:
        """Kill a worker, once all serve: who is killed while it loads, or last of all, proves nothing.

        A death that had to wait long puts off the next one, see `BETWEEN_KILLS`.
        """
        soak, now = self._soak, self._load.elapsed()
        workers = self._world.site.workers()
        found = [process(pid) for pid in workers]
        if len(found) < soak.plan.workers or any(each is None or each.threads == 1 for each in found):
            return
        if soak.kills and now - soak.kills[-1] < BETWEEN_KILLS:
            return
        if now < soak.plan.spared_until and soak.witness in workers:
            workers.remove(soak.witness)
        victim = self._chance.choice(workers)
        self._tell(f"{now:6.0f} s  worker {victim} is killed")
        soak.kills.append(self._load.elapsed())
        os.kill(victim, signal.SIGKILL)
        self._kills.popleft()


def _standing(soak: Soak, load: Readers) -> str:
    answers, ledger = load.answers(), soak.ledger
    sources = Counter(answer.source for answer in answers)
    parts = [
        f"{load.elapsed():6.0f} s  reads {len(answers)}: {_listed(sources)}",
        f"writes: {len(ledger.stored)} stored, {len(ledger.not_stored)} refused, {len(ledger.broken)} broken",
    ]
    if soak.samples:
        workers = soak.samples[-1].workers
        parts.append("workers: " + ", ".join(f"{w.rss / 1024:.0f} MB {w.descriptors} fd" for w in workers))
    return "; ".join(parts)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _until(is_so: Callable[[], bool], patience: float) -> float | None:
    """Wait until something is so; return the seconds it took, or None when it never was."""
    began = time.monotonic()
    while time.monotonic() - began < patience:
        if is_so():
            return time.monotonic() - began
        time.sleep(0.2)
    return None


def _is_well(site: Site) -> bool:
    """Tell whether a read that was never asked before is live, and nothing is degraded."""
    try:
        answer = site.get(f"/api/courses?search=well{time.monotonic_ns()}", timeout=15)
    except (OSError, http.client.HTTPException):  # from a worker that was killed last of all
        return False
    return (answer.headers["X-Data-Source"], answer.headers["X-System-Degraded"]) == ("live", "false")


def _is_alone(site: Site) -> bool:
    """Tell whether no export of the catalogue is under way, nor what a killed worker may have left."""
    sample = look(site, 0.0)
    return sample is not None and sample.family == len(sample.masters) + len(sample.workers)


def _logged(log: str) -> Counter[str]:
    """Count the server's errors by message, and what it printed of errors that nobody caught."""
    found: Counter[str] = Counter()
    for line in log.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            if line.startswith(("Traceback", "thread ")):
                found[line] += 1
            continue
        if isinstance(record, dict) and record.get("level") in ("ERROR", "CRITICAL"):
            why = str(record.get("exc_info", "")).rpartition("\n")[2]
            found[re.sub(r"[0-9]+", "N", f"{record['logger']}: {record['message']} {why}".strip())[:200]] += 1
    return found
