"""The storm: it keeps workers running, harms them, turns the dependency off and on, and ends in calm."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.board import LIVES, Board
from tests.chaos.journal import Journal, Kind
from tests.chaos.observer import observe
from tests.chaos.worker import CRASHED, Worker

WORKERS = 6
_TICK = 0.002
# Seconds in which a worker that runs must make a turn; the longest call takes 0.6 s.
_HANGS = 5.0


@dataclass
class Life:
    """One worker process, as the storm sees it."""

    number: int
    pulse: int = 0
    moved: float = field(default_factory=time.monotonic)
    stopped_until: float | None = None


@dataclass
class Report:
    """What the storm itself saw."""

    deaths: int = 0
    stops: int = 0
    crashes: int = 0
    hung: int = 0
    seconds: float = 0.0
    closed_after: float | None = None
    """Seconds from the return of calm until the breaker was closed."""
    all_working: bool = False


class Storm:
    """Run workers on a store in `folder` until `deaths` of them were killed, or `seconds` are over."""

    def __init__(self, folder: Path, *, deaths: int, seconds: float, seed: int) -> None:
        self._folder = folder
        self._wanted = deaths
        self._seconds = seconds
        self._seed = seed
        self._rng = random.Random(seed)  # noqa: S311 - repeatable, no secret
        self._board = Board()
        self._journal = Journal(folder / "journal", 0)
        self._lives: dict[int, Life] = {}
        self._started = 0
        self.report = Report()

    def run(self) -> Report:
        """Return what the storm saw; the rest is in the journal."""
        start = time.monotonic()
        for _ in range(WORKERS):
            self._start()
        observer = self._fork(lambda: observe(self._folder, self._board, self._journal))
        flip = strike = start
        while self.report.deaths < self._wanted and time.monotonic() - start < self._seconds:
            now = time.monotonic()
            if now >= flip:
                self._board.down = not self._board.down
                self._journal.write(Kind.DOWN, m=self._board.down)
                flip = now + self._rng.uniform(0.1, 0.8)
            if now >= strike:
                self._strike_from_outside()
                strike = now + self._rng.expovariate(10.0)
            self._look_after(now)
            time.sleep(_TICK)
        self._calm_down()
        self.report.seconds = time.monotonic() - start
        self._board.finish = True
        for pid in [*self._lives, observer]:
            os.waitpid(pid, 0)
        return self.report

    def _fork(self, work: object) -> int:
        pid = os.fork()
        if pid:
            return pid
        code = CRASHED
        try:
            assert callable(work)
            work()
            code = 0
        finally:
            os._exit(code)

    def _start(self) -> None:
        self._started += 1
        number = self._started
        if number >= LIVES:
            raise RuntimeError(f"more than {LIVES} workers")
        pid = self._fork(lambda: Worker(number, self._folder, self._board, self._seed).run())
        self._lives[pid] = Life(number)

    def _strike_from_outside(self) -> None:
        running = [pid for pid, life in self._lives.items() if life.stopped_until is None]
        if not running:
            return
        pid = self._rng.choice(running)
        number = self._lives[pid].number
        if self._rng.random() < 0.7:
            self._journal.write(Kind.KILLED, who=number)
            os.kill(pid, signal.SIGKILL)
        else:
            self._board.count_stop(number)
            self._journal.write(Kind.STOPPED, who=number)
            os.kill(pid, signal.SIGSTOP)

    def _look_after(self, now: float) -> None:
        """Replace the dead, wake or kill the stopped when their time has come, notice who hangs."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                break
            life = self._lives.get(pid)
            if life is None:
                raise RuntimeError("the observer ended")
            if os.WIFSTOPPED(status):
                self.report.stops += 1
                # Most sleep shortly; some longer than a lock, a permit or an open time lasts.
                longest = 0.2 if self._rng.random() < 0.7 else 2.5
                life.stopped_until = now + self._rng.uniform(0.0, longest)
                continue
            del self._lives[pid]
            if os.WIFSIGNALED(status):
                self.report.deaths += 1
            else:
                self.report.crashes += 1
            self._start()
        for pid, life in self._lives.items():
            if life.stopped_until is not None:
                life.moved = now
                if now >= life.stopped_until:
                    self._wake_or_kill(pid, life)
            elif (pulse := self._board.pulse(life.number)) != life.pulse:
                life.pulse, life.moved = pulse, now
            elif now - life.moved > _HANGS:
                self.report.hung += 1
                life.moved = now

    def _wake_or_kill(self, pid: int, life: Life) -> None:
        life.stopped_until = None
        if self._rng.random() < 0.2:
            self._journal.write(Kind.KILLED, who=life.number, m=1)
            os.kill(pid, signal.SIGKILL)
        else:
            # Counted again, so that whoever looked between the count and the signal sees it too.
            self._board.count_stop(life.number)
            self._journal.write(Kind.CONTINUED, who=life.number)
            os.kill(pid, signal.SIGCONT)

    def _calm_down(self) -> None:
        """Let everything work again, and see how long the breaker takes to notice."""
        self._board.calm = True
        self._board.down = False
        self._journal.write(Kind.DOWN, m=0)
        start = time.monotonic()
        for life in self._lives.values():
            if life.stopped_until is not None:
                life.stopped_until = start
        while self.report.closed_after is None and time.monotonic() - start < 10.0:
            self._look_after(time.monotonic())
            if self._board.closed:
                self.report.closed_after = time.monotonic() - start
            time.sleep(_TICK)
        before = {pid: self._board.pulse(life.number) for pid, life in self._lives.items()}
        settled = time.monotonic() + 1.0
        while time.monotonic() < settled:
            self._look_after(time.monotonic())
            time.sleep(_TICK)
        self.report.all_working = all(
            self._board.pulse(life.number) > before.get(pid, -1) for pid, life in self._lives.items()
        )
