"""One worker of the storm: it calls a dependency through the host's breaker, for ever, and is struck."""

from __future__ import annotations

import os
import random
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from resilience.primitives.breaker import CircuitBreaker
from resilience.primitives.config import BreakerConfig
from resilience.primitives.errors import BreakerOpenError
from resilience.primitives.rules import Outcome
from resilience.primitives.store import HostStore
from resilience.primitives.store.lock import Lock
from tests.chaos.board import Board
from tests.chaos.journal import Journal, Kind
from tests.chaos.strike import StrikeError, Strikes

NAME = "dependency"
NAMESPACE = "chaos"
THREADS = 2
CRASHED = 70
CONFIG = BreakerConfig(
    failure_threshold=3,
    recovery_timeout=0.1,
    window=2.0,
    minimum_volume=5,
    permit_timeout=0.4,
)


def run_delay() -> float:
    """Return the seconds for which this thread was ready and the kernel ran another one."""
    return int(Path("/proc/thread-self/schedstat").read_bytes().split()[1]) / 1e9


class Hand:
    """One thread of a worker: its own number, journal and strikes."""

    def __init__(self, worker: Worker, index: int) -> None:
        self.journal = Journal(worker.folder / "journal", worker.life * THREADS + index)
        self.rng = random.Random(f"{worker.seed}/{worker.life}/{index}")  # noqa: S311 - repeatable, no secret
        self.strikes = Strikes(self.journal, self.rng, worker.board, worker.life)


class WatchedLock:
    """The store's lock, which notes how long each thread waited and tells the strikes who holds it."""

    def __init__(self, lock: Lock, worker: Worker) -> None:
        self._lock = lock
        self._worker = worker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)

    def take(self, *arguments: Any) -> Any:
        board, life, hand = self._worker.board, self._worker.life, self._worker.hand()
        stops, start, delay = board.stops(life), time.monotonic(), run_delay()
        taken = self._lock.take(*arguments)
        wall = time.monotonic() - start
        waited = max(0.0, wall - (run_delay() - delay))
        stopped = board.stops(life) != stops
        hand.journal.write(Kind.WAITED, x=wall, y=waited, m=taken is not None, n=stopped)
        if taken is not None:
            hand.strikes.taken()
        return taken

    def release(self) -> None:
        try:
            self._lock.release()
        finally:
            self._worker.hand().strikes.holding = False


class Worker:
    """Call through one breaker until the board says finish. `life` is the worker's number."""

    def __init__(self, life: int, folder: Path, board: Board, seed: int) -> None:
        self.life = life
        self.folder = folder
        self.board = board
        self.seed = seed
        self._hands = threading.local()
        store = HostStore(folder, NAMESPACE, role="server", create=True)
        store.lock = WatchedLock(store.lock, self)
        self._breaker = CircuitBreaker(name=NAME, config=CONFIG, store=store)

    def hand(self) -> Hand:
        """Return what belongs to this thread."""
        hand: Hand = self._hands.hand
        return hand

    def run(self) -> None:
        """Work in two threads until the end; an error that is none of ours ends the process at once."""
        others = [threading.Thread(target=self._loop, args=(index,)) for index in range(1, THREADS)]
        for thread in others:
            thread.start()
        self._loop(0)
        for thread in others:
            thread.join()

    def _loop(self, index: int) -> None:
        hand = self._hands.hand = Hand(self, index)
        try:
            while not self.board.finish:
                self.board.beat(self.life)
                self._turn(hand)
        except BaseException:
            hand.journal.write(Kind.CRASHED)
            traceback.print_exc()
            os._exit(CRASHED)

    def _turn(self, hand: Hand) -> None:
        asked = time.monotonic()
        try:
            with hand.strikes.armed():
                admission = self._breaker.admit()
        except BreakerOpenError:
            hand.journal.write(Kind.REFUSED, x=asked)
            time.sleep(hand.rng.uniform(0.0, 0.01))
            return
        except StrikeError:
            return
        # At least until then its permit is in force.
        until = asked + CONFIG.permit_lasts if admission.permit else 0.0
        hand.journal.write(Kind.CALL, x=asked, y=until, m=admission.generation)
        # One call in a hundred hangs, longer than a permit lasts at times.
        hangs = hand.rng.random() < 0.01
        time.sleep(hand.rng.uniform(0.1, 0.6) if hangs else hand.rng.uniform(0.0, 0.01))
        failed = self.board.down
        ended = hand.journal.write(Kind.END, m=failed)
        try:
            with hand.strikes.armed():
                self._breaker.settle(admission, Outcome.FAILURE if failed else Outcome.SUCCESS)
        except StrikeError:
            return
        hand.journal.write(Kind.SETTLED, x=ended, m=admission.generation, n=failed)
