"""Measure our breaker beside its peers in one interleaved run: `python -m benchmarks.breaker`.

Progress goes to standard error, one Markdown table to standard output. Times are microseconds of one call,
the median of the rounds; in brackets the multiple of circuitbreaker's own closed call of the same run.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, cycle, repeat
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

from tqdm import tqdm

from benchmarks.peers import OURS, PEERS, Function, Peer, Place
from benchmarks.workers import Workers

NEVER = 3600.0  # An open interval that outlasts the run, in seconds.
RECOVERY = 1.0  # The open interval where recovery is measured. Whole seconds: circuitbreaker rounds.
SLICE = 0.1  # How long one timing should take, in seconds.
REFERENCE = "circuitbreaker"
PROCESSES = (1, 4, 8)
SCRATCH = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - where the host store lives too
GOALS = {  # As multiples of circuitbreaker's own closed call.
    "closed, 1 thread": 1.0,
    "closed, 8 threads": 1.2,
    "rejected": 2.0,
    "failing": 8.0,
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


@contextmanager
def redis_server() -> Iterator[int | None]:
    """Run a Redis of our own on a free loopback port; ``None`` where there is none to run."""
    binary = shutil.which("redis-server")
    if binary is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [binary, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(100):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                    break
                time.sleep(0.05)
            yield port
        finally:
            server.terminate()


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
        total = rounds * len(MEASURES) * len(peers) + len(PROCESSES) * len(peers)
        with tqdm(total=total, file=sys.stderr) as progress:
            for _ in range(rounds):
                for name, take in MEASURES.items():
                    for peer in random.sample(peers, len(peers)):
                        progress.set_description(f"{name}: {peer.label}")
                        self.seconds[name, peer.label].append(take(peer, self.place(NEVER)))
                        progress.update()
            for number in PROCESSES:
                for peer in peers:
                    progress.set_description(f"{number} processes: {peer.label}")
                    self.reached[peer.label, number] = calls_before_opening(
                        peer, self.place(RECOVERY), number
                    )
                    progress.update()

    def multiple(self, name: str, label: str) -> float:
        return statistics.median(self.seconds[name, label]) / statistics.median(
            self.seconds["closed, 1 thread", REFERENCE]
        )

    def table(self, peers: list[Peer]) -> str:
        counted = f"({', '.join(map(str, PROCESSES))} processes)"
        heads = [
            "breaker",
            *MEASURES,
            f"calls before opening {counted}",
            f"probes {counted}",
            "time window",
        ]
        lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(MEASURES) + " --- |" * 3]
        for peer in peers:
            cells = [peer.title]
            for name in MEASURES:
                micros = statistics.median(self.seconds[name, peer.label]) * 1e6
                cells.append(f"{micros:.2f} ({self.multiple(name, peer.label):.2f})")
            reached = [self.reached[peer.label, number] for number in PROCESSES]
            cells.append(", ".join(str(calls) for calls, _ in reached))
            cells.append(", ".join(str(probes) for _, probes in reached))
            cells.append(peer.window)
            lines.append("| " + " | ".join(cells) + " |")
        lines += [f"\n- {label}: not measured, {reason}" for label, reason in self.absent.items()]
        return "\n".join(lines)

    def goals(self, peers: list[Peer]) -> str:
        label = OURS[0].label
        lines = []
        for name, goal in GOALS.items():
            got = self.multiple(name, label)
            verdict = "met" if got <= goal else f"missed by {got / goal - 1:.0%}"
            lines.append(f"- {name}: {got:.2f}, goal {goal:.1f}: {verdict}")
        closed = "closed, 1 thread"
        for peer in peers:
            if "Redis" in peer.label:
                times = self.multiple(closed, peer.label) / self.multiple(closed, label)
                verdict = "met" if times > REDIS_GOAL else "missed"
                lines.append(f"- {peer.label}: {times:.0f} times as much, goal over {REDIS_GOAL}: {verdict}")
        return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds: int = parser.parse_args().rounds
    with redis_server() as port, tempfile.TemporaryDirectory(prefix="bench-", dir=SCRATCH) as scratch:
        run = Run(port, Path(scratch))
        peers = run.present()
        run.measure(peers, rounds)
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, median of {rounds} interleaved rounds; "
    )
    print(f"microseconds of one call (multiple of {REFERENCE}, closed, 1 thread).\n")
    print(run.table(peers))
    print(f"\nGoals for “{OURS[0].label}”, as multiples of {REFERENCE}, closed, 1 thread:\n")
    print(run.goals(peers))


if __name__ == "__main__":
    main()
