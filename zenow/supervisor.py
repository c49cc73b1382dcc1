"""Hold the listening sockets, and one server behind it; replace or end it so that no request fails.

- SIGHUP: a successor is started, with the code and packages of now. Once all its workers have loaded the
  site, the old server retires: it takes no new connections, each of its answers ends an old one, and
  DRAIN_SECONDS later it ends. A successor that does not come up is ended, and the old server goes on.
- SIGTERM: readiness says 503 for DRAIN_SECONDS while all requests are still answered, so that a load balancer
  turns away; then the server retires as above. A second one ends it at once.
- SIGINT: it ends at once, after the requests that run.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue

from zenow.handover import Handover
from zenow.listening import Listeners

logger = logging.getLogger("zenow.supervisor")

# How long a successor may take until its workers have loaded the site.
_COMES_UP_WITHIN = 60.0

Order = Callable[[], None]


class Server:
    """One server as a child: `python -m zenow.server`."""

    def __init__(self, listeners: Listeners, workers: int) -> None:
        retire, self._retire = os.pipe()
        drain, self._drain = os.pipe()
        said, ready = os.pipe()
        handover = Handover(listeners=listeners.descriptors(), retire=retire, ready=ready, drain=drain)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "zenow.server"],
            env=os.environ | {"WEB_CONCURRENCY": str(workers)} | handover.as_environment(),
            pass_fds=handover.descriptors(),
        )
        for given in (retire, drain, ready):
            os.close(given)
        self._said = os.fdopen(said)
        self._drains = self._retires = False
        self.workers: dict[int, int] = {}  # process ids of those that have loaded the site, by number

    @property
    def pid(self) -> int:
        return self._process.pid

    def status(self) -> int | None:
        """Return how it ended, as a shell puts it; None while it runs."""
        status = self._process.poll()
        return 128 - status if status is not None and status < 0 else status

    def announced(self) -> Iterator[tuple[int, int]]:
        """Yield number and process id of each worker that has loaded the site, until the server has ended."""
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


class Supervisor:
    """The process that an init system knows; `run()` serves until told to end."""

    def __init__(self, listeners: Listeners, *, workers: int, drain_seconds: float) -> None:
        self._listeners = listeners
        self._workers = workers
        self._drain_seconds = drain_seconds
        # Signals, timers and threads that wait for a server only put orders here: one thread obeys them.
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._running: list[Server] = []
        self._serving: Server | None = None
        self._successor: Server | None = None
        self._asked_again = False
        self._ending = False
        self._status = 0

    def run(self) -> int:
        """Return 0, or the status of a server that ended by itself."""
        self._obey(signal.SIGHUP, self._replace)
        self._obey(signal.SIGTERM, self._drain)
        self._obey(signal.SIGINT, self._end)
        self._obey(signal.SIGCHLD, lambda: None)  # to look who has ended
        self._serving = self._start()
        while self._running:
            self._orders.get()()
            for server in [each for each in self._running if each.status() is not None]:
                self._has_ended(server)
        return self._status

    def _obey(self, number: signal.Signals, order: Order) -> None:
        signal.signal(number, lambda *_: self._orders.put(order))

    def _start(self) -> Server:
        server = Server(self._listeners, self._workers)
        self._running.append(server)
        threading.Thread(target=self._listen_to, args=(server,), daemon=True).start()
        return server

    def _listen_to(self, server: Server) -> None:
        for worker, pid in server.announced():
            self._orders.put(partial(self._worker_is_up, server, worker, pid))

    def _worker_is_up(self, server: Server, worker: int, pid: int) -> None:
        server.workers[worker] = pid
        threading.Thread(target=self._watch, args=(server, worker, pid), daemon=True).start()
        if server is self._serving:
            self._listeners.lead_to(server.workers)
        elif server is self._successor and len(server.workers) == self._workers:
            self._take_over(server)

    def _watch(self, server: Server, worker: int, pid: int) -> None:
        if sys.platform != "linux":
            return  # There all workers accept from one socket.
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            pass
        else:
            ended = select.poll()
            ended.register(handle)
            ended.poll()
            os.close(handle)
        self._orders.put(partial(self._worker_has_ended, server, worker, pid))

    def _worker_has_ended(self, server: Server, worker: int, pid: int) -> None:
        if server.workers.get(worker) == pid:
            del server.workers[worker]
            if server is self._serving and not self._ending:
                logger.error("worker %d, process %d, ended by itself", worker + 1, pid)
                self._listeners.lead_to(server.workers)

    def _after(self, seconds: float, order: Order) -> None:
        timer = threading.Timer(seconds, self._orders.put, [order])
        timer.daemon = True
        timer.start()

    def _replace(self) -> None:
        if self._ending:
            return
        if self._successor is not None:
            self._asked_again = True  # What changed since may have come too late for that one.
            return
        self._successor = self._start()
        logger.info("server %d is to be replaced by server %d", self._pid(), self._successor.pid)
        self._after(_COMES_UP_WITHIN, partial(self._is_late, self._successor))

    def _take_over(self, server: Server) -> None:
        old, self._serving, self._successor = self._serving, server, None
        self._listeners.lead_to(server.workers)
        if old is not None:
            logger.info("server %d has taken over from server %d", server.pid, old.pid)
            old.retire()
        self._once_more()

    def _is_late(self, server: Server) -> None:
        if server is self._successor:
            logger.error("server %d has not come up within %.0f s", server.pid, _COMES_UP_WITHIN)
            server.end()

    def _has_ended(self, server: Server) -> None:
        self._running.remove(server)
        server.drain()
        server.retire()
        if server is self._successor:
            self._successor = None
            logger.error("server %d ended before it was up: server %d goes on", server.pid, self._pid())
            self._once_more()
        elif server is self._serving and not self._ending:
            self._status = server.status() or 1
            logger.error("server %d ended by itself", server.pid)
            self._end()

    def _once_more(self) -> None:
        if self._asked_again:
            self._asked_again = False
            self._replace()

    def _drain(self) -> None:
        if self._ending or not self._drain_seconds:
            self._end()
            return
        self._ending = True
        logger.info("draining for %.0f s", self._drain_seconds)
        for server in self._running:
            server.drain()
        self._after(self._drain_seconds, self._retire_all)

    def _retire_all(self) -> None:
        self._listeners.close()
        for server in self._running:
            server.retire()

    def _end(self) -> None:
        self._ending = True
        for server in self._running:
            server.end()

    def _pid(self) -> int:
        return 0 if self._serving is None else self._serving.pid
