"""The processes of the site, as their supervisor knows them: a server and its workers."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

from zenow.server.handover import Handover
from zenow.server.listening import Listeners
from zenow.server.signs import Signs
from zenow.server.wedged import Question, Silence


class Worker:
    """A worker that has loaded the site."""

    def __init__(self, number: int, pid: int, question: Question) -> None:
        self.number = number
        self.pid = pid
        self.question = question
        self.silence = Silence(pid)
        """how long it has answered nothing at all"""
        self.deafness = Silence(pid)
        """for how long it has answered nobody who has just connected"""
        self.age = 0.0
        """seconds for which it has been watched"""
        self.passed_by = False
        self.killed = False
        # Names this very process, also after its id has been given to another. Linux only.
        self._handle = os.pidfd_open(pid) if sys.platform == "linux" else None

    def wait(self) -> bool:
        """Return True once it has ended; at once False where the system cannot tell."""
        if self._handle is None:
            return False
        ended = select.poll()
        ended.register(self._handle, select.POLLIN)
        ended.poll()
        return True

    def kill(self) -> None:
        """End it at once."""
        if self._handle is not None:
            self.killed = True
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def forget(self) -> None:
        """Let go of what is kept of it; `wait` has returned."""
        self.question.drop()
        if self._handle is not None:
            os.close(self._handle)


class Server:
    """One server as a child: `python -m zenow.server`."""

    def __init__(self, listeners: Listeners, workers: int) -> None:
        retire, self._retire = os.pipe()
        drain, self._drain = os.pipe()
        said, ready = os.pipe()
        self.signs = Signs.create(workers)
        handover = Handover(
            listeners=listeners.descriptors(),
            retire=retire,
            ready=ready,
            drain=drain,
            signs=None if self.signs is None else self.signs.descriptor,
        )
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "zenow.server"],
                env=os.environ | {"WEB_CONCURRENCY": str(workers)} | handover.as_environment(),
                pass_fds=handover.descriptors(),
            )
        except OSError:
            for kept in (self._retire, self._drain, said):
                os.close(kept)
            if self.signs is not None:
                self.signs.close()
            raise
        finally:
            for given in (retire, drain, ready):
                os.close(given)
        self._said = os.fdopen(said)
        self._drains = self._retires = False
        self.workers: dict[int, Worker] = {}  # those that have loaded the site, by number
        self.stopped = 0.0
        """seconds for which it has been stopped, by a signal or a debugger"""
        self.short = 0.0
        """seconds for which it has lacked workers"""

    @property
    def pid(self) -> int:
        return self._process.pid

    def status(self) -> int | None:
        """Return how it ended, as a shell puts it; None while it runs."""
        status = self._process.poll()
        return 128 - status if status is not None and status < 0 else status

    def announced(self) -> Iterator[tuple[int, int]]:
        """Yield number and process id of each worker that has loaded the site, until the server has ended."""
        with self._said:
            for line in self._said:
                worker, pid = line.split()
                yield int(worker), int(pid)

    def drain(self) -> None:
        """Let its readiness say 503, while it answers everything."""
        if not self._drains:
            self._drains = True
            os.close(self._drain)

    def retire(self) -> None:
        """Let it take no new connections, and end in a while."""
        if not self._retires:
            self._retires = True
            os.close(self._retire)

    def end(self) -> None:
        """Let it end after the requests that run."""
        self.retire()
        self._process.terminate()

    def kill(self) -> None:
        """End it at once; its workers notice, and end by themselves."""
        self._process.kill()

    def forget(self) -> None:
        """Let go of what is kept of it; it has ended."""
        self.drain()
        self.retire()
        if self.signs is not None:
            self.signs.close()
