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
        """the time for which it has given no answer at all"""
        self.deafness = Silence(pid)
        """the time for which it has answered no new connection"""
        self.age = 0.0
        """seconds for which it has been watched"""
        self.passed_by = False
        self.killed = False
        # Identifies this very process, even if its id is used again. Linux only.
        self._handle = os.pidfd_open(pid) if sys.platform == "linux" else None

    def wait(self) -> bool:
        """Return True once it has ended; False, at once, if the system cannot tell."""
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
        """Close what is open for it; call this after `wait`."""
        self.question.drop()
        if self._handle is not None:
            os.close(self._handle)


class Server:
    """A server, as a child process: `python -m zenow.server`."""

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
        """Return its exit status, as a shell does; None while it runs."""
        status = self._process.poll()
        return 128 - status if status is not None and status < 0 else status

    def announced(self) -> Iterator[tuple[int, int]]:
        """Yield the number and process id of each worker that has loaded the site, until the server ends."""
        with self._said:
            for line in self._said:
                worker, pid = line.split()
                yield int(worker), int(pid)

    def drain(self) -> None:
        """Make its readiness 503; it still answers everything."""
        if not self._drains:
            self._drains = True
            os.close(self._drain)

    def retire(self) -> None:
        """Make it accept no new connections, and end after DRAIN_SECONDS."""
        if not self._retires:
            self._retires = True
            os.close(self._retire)

    def end(self) -> None:
        """Make it end when the running requests are answered."""
        self.retire()
        self._process.terminate()

    def kill(self) -> None:
        """End it at once; its workers notice, and end by themselves."""
        self._process.kill()

    def forget(self) -> None:
        """Close what is open for it; call this after it has ended."""
        self.drain()
        self.retire()
        if self.signs is not None:
            self.signs.close()
