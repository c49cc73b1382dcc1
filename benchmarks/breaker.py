"""Measure our breaker beside its peers in one interleaved run: `python -m benchmarks.breaker`.

Progress goes to standard error, Markdown tables to standard output.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import count, cycle, repeat
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

from benchmarks.peers import CALLING, OURS, PEERS, Function, Peer, Place
from benchmarks.tables import Table, spread, table
from benchmarks.workers import Workers
from tests.servers import RedisServer
from tests.servers.binaries import NoServerError

NEVER = 3600.0  # An open interval that outlasts the run, in seconds.
RECOVERY = 1.0  # The open interval where recovery is measured. Whole seconds: circuitbreaker rounds.
SLICE = 0.1  # How long one timing should take, in seconds.
REFERENCE = "circuitbreaker"
PROCESSES = (1, 4, 8)
SCRATCH = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - where the host store lives too
DECORATED = "ours, host store"
GOALS = {  # As multiples of circuitbreaker's own closed call: of a call as it is made here, and as decorated.
    ("closed, 1 thread", CALLING.label): 3.0,
    ("closed, 8 threads", CALLING.label): 3.0,
    ("rejected", DECORATED): 2.0,
    ("failing", DECORATED): 8.0,
}
REDIS_GOAL = 50  # A breaker whose state lives in Redis shall cost over so many times as much as ours.


class DownError(Exception):
    """Stand for a dependency that fails."""


def succeed() -> None:
    """Stand for a dependency that answers at once."""


def fail() -> None:
    raise DownError


def loop(call: Function, times: int) -> float:
    """Return the seconds of one call, whatever it raises at the end of its way."""
    start = time.perf_counter()
    for _ in repeat(None, times):
        try:  # noqa: SIM105 - `suppress` would cost more than what is measured
            call()
        except Exception:  # noqa: S110 - the price of raising belongs to the figure
            pass
    return (time.perf_counter() - start) / times


def calibrated(call: Function) -> float:
    """Return the seconds of one call, measured over about ``SLICE`` seconds."""
    rough = loop(call, 50)
    return loop(call, max(50, int(SLICE / rough)))


def closed(peer: Peer, place: Place) -> float:
    return calibrated(peer.build(place)(succeed))


def threads(peer: Peer, place: Place, count: int = 8) -> float:
    call = peer.build(place)(succeed)
    times = max(50, int(SLICE / loop(call, 50) / count))
    barrier = threading.Barrier(count + 1)

    def run() -> None:
        barrier.wait()
        loop(call, times)

    started = [threading.Thread(target=run) for _ in range(count)]
    for thread in started:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    for thread in started:
        thread.join()
    return (time.perf_counter() - start) / (times * count)


def processes(peer: Peer, place: Place, count: int = 4) -> float:
    """Return the core-seconds of one call: what a call costs when every core is kept busy by such calls."""

    def serve(connection: Connection, barrier: Barrier) -> None:
        call = peer.build(place)(succeed)
        times = max(50, int(SLICE / loop(call, 50)))
        connection.recv()
        barrier.wait()
        connection.send(loop(call, times))
        connection.recv()

    with Workers(count, serve) as workers:
        return statistics.mean(workers.ask_all("run")) * min(count, os.cpu_count() or 1) / count


def rejected(peer: Peer, place: Place) -> float:
    call = peer.build(place)(fail)
    loop(call, 5)
    try:
        call()
    except peer.refusal():
        return calibrated(call)
    raise AssertionError(f"{peer.label} did not open")


def failing(peer: Peer, place: Place) -> float:
    """Return the seconds of one failing call that opens nothing: every other call succeeds."""
    succeeds = cycle((False, True))

    def mostly() -> None:
        if not next(succeeds):
            raise DownError

    call = peer.build(place)(mostly)
    both = 2 * calibrated(call)
    succeeds = repeat(True)  # type: ignore[assignment]
    return both - calibrated(call)


def calls_before_opening(peer: Peer, place: Place, count: int) -> tuple[int, int]:
    """Return how many calls reach a dead dependency before all processes refuse, and how many probes.

    The processes call in turn until all refuse; when the open interval has ended, they all call at once.
    """

    def serve(connection: Connection, barrier: Barrier) -> None:
        reached = 0
        lasts = 0.0

        def dead() -> None:
            nonlocal reached
            reached += 1
            time.sleep(lasts)
            raise DownError

        call = peer.build(place)(dead)
        while True:
            if connection.recv() == "together":
                lasts = 0.2  # So that probes overlap, as they do when a dependency hangs.
                barrier.wait()
            before = reached
            loop(call, 1)
            connection.send(reached - before)

    with Workers(count, serve) as workers:
        reached = refusals = turn = 0
        while refusals < count:
            called = int(workers.ask(turn % count, "call"))
            reached += called
            refusals = 0 if called else refusals + 1
            turn += 1
        time.sleep(RECOVERY + 0.2)
        return reached, int(sum(workers.ask_all("together")))


MEASURES: dict[str, Callable[[Peer, Place], float]] = {
    "closed, 1 thread": closed,
    "closed, 8 threads": threads,
    "closed, 4 processes": processes,
    "rejected": rejected,
    "failing": failing,
}


class Run:
    """Hold what one run found out: seconds per measure and peer, and why a peer could not take part."""

    def __init__(self, redis_port: int | None, scratch: Path) -> None:
        self._redis_port = redis_port
        self._scratch = scratch
        self._places = count()
        self.seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.reached: dict[tuple[str, int], tuple[int, int]] = {}
        self.absent: dict[str, str] = {}

    def place(self, recovery: float) -> Place:
        folder = self._scratch / f"p{next(self._places)}"
        folder.mkdir(mode=0o700)
        return Place(recovery=recovery, folder=folder, redis_port=self._redis_port)

    def present(self) -> list[Peer]:
        """Return the peers that can be imported and called; note the reason for each other one."""
        found = []
        for peer in (*OURS, *PEERS):
            try:
                peer.build(self.place(NEVER))(succeed)()
            except Exception as error:
                self.absent[peer.label] = f"{type(error).__name__}: {error}"
            else:
                found.append(peer)
        return found

    def measure(self, peers: list[Peer], rounds: int) -> None:
        for number in range(1, rounds + 1):
            for name, take in MEASURES.items():
                print(f"round {number} of {rounds}: {name}", file=sys.stderr, flush=True)
                for peer in random.sample(peers, len(peers)):
                    self.seconds[name, peer.label].append(take(peer, self.place(NEVER)))
        for size in PROCESSES:
            print(f"{size} processes and a dead dependency", file=sys.stderr, flush=True)
            for peer in peers:
                self.reached[peer.label, size] = calls_before_opening(peer, self.place(RECOVERY), size)

    def multiple(self, name: str, label: str) -> float:
        return statistics.median(self.seconds[name, label]) / statistics.median(
            self.seconds["closed, 1 thread", REFERENCE]
        )

    def tables(self, peers: list[Peer]) -> Iterator[tuple[str, Table]]:
        """Yield each table after the sentence that explains it."""

        def micros(name: str, peer: Peer) -> str:
            return spread([seconds * 1e6 for seconds in self.seconds[name, peer.label]], ".2f")

        yield (
            "Microseconds of one call: median (fastest to slowest round).",
            table(
                ("breaker", *MEASURES),
                ((peer.title, *(micros(name, peer) for name in MEASURES)) for peer in peers),
            ),
        )
        yield (
            f"The medians as multiples of {REFERENCE}, closed, 1 thread.",
            table(
                ("breaker", *MEASURES),
                (
                    (peer.title, *(f"{self.multiple(name, peer.label):.2f}" for name in MEASURES))
                    for peer in peers
                ),
            ),
        )
        counted = [f"{number} {'process' if number == 1 else 'processes'}" for number in PROCESSES]
        reached = {
            peer.label: [
                str(self.reached[peer.label, number][which]) for which in (0, 1) for number in PROCESSES
            ]
            for peer in peers
        }
        yield (
            "Calls that reach a dead dependency before all processes refuse; probes that reach it when the "
            "open interval ends.",
            table(
                ("breaker", *counted, *(f"probes of {each}" for each in counted), "time window"),
                ((peer.title, *reached[peer.label], peer.window) for peer in peers),
            ),
        )

    def goals(self, peers: list[Peer]) -> str:
        lines = []
        for (name, label), goal in GOALS.items():
            got = self.multiple(name, label)
            verdict = "met" if got <= goal else f"missed by {got / goal - 1:.0%}"
            lines.append(f"- {label}; {name}: {got:.2f}, goal {goal:.1f}: {verdict}")
        closed = "closed, 1 thread"
        for peer in peers:
            if "Redis" in peer.label:
                times = self.multiple(closed, peer.label) / self.multiple(closed, CALLING.label)
                verdict = "met" if times > REDIS_GOAL else "missed"
                lines.append(f"- {peer.label}: {times:.0f} times as much, goal over {REDIS_GOAL}: {verdict}")
        return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds: int = parser.parse_args().rounds
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=SCRATCH))
        redis_port = None
        with suppress(NoServerError):
            redis_port = stack.enter_context(RedisServer()).port
        run = Run(redis_port, Path(scratch))
        peers = run.present()
        run.measure(peers, rounds)
    print(f"{rounds} rounds, in each all breakers in random order.")
    for sentence, shown in run.tables(peers):
        print(f"\n{sentence}\n\n{shown}")
    print(f"\nGoals, as multiples of {REFERENCE}, closed, 1 thread:\n")
    print(run.goals(peers))
    for label, reason in run.absent.items():
        print(f"- {label}: not measured, {reason}")


if __name__ == "__main__":
    main()
