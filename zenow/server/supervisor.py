"""Hold the listening sockets and one server behind them; replace or end it so that no request fails.

- SIGHUP: a successor is started, with the code and packages that are now installed. Once all its workers have
  loaded the site, the old server retires: it accepts no new connections, each of its answers ends an old one,
  and DRAIN_SECONDS later it ends. If the successor does not come up, it is ended, and the old server goes on.
- SIGTERM: readiness is 503 for DRAIN_SECONDS, so that a load balancer sends no more requests. Those that come
  are still answered. Then the server retires as above. A second SIGTERM ends it at once.
- SIGINT: the server ends as soon as the running requests are answered.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from math import inf
from queue import Empty, SimpleQueue

from zenow.server import processor, wedged
from zenow.server.children import Server, Worker
from zenow.server.listening import Listeners
from zenow.server.watchdog import Watchdog

logger = logging.getLogger("zenow.supervisor")

# Seconds within which the workers of a successor, or a worker that replaces another, have to load the site.
_COMES_UP_WITHIN = 60.0

Order = Callable[[], None]
Tell = Callable[[str, str], None]


class Supervisor:
    """The process that an init system starts; `run()` serves until told to end."""

    def __init__(
        self, listeners: Listeners, *, workers: int, drain_seconds: float, question: bytes, tell: Tell
    ) -> None:
        """`question` is the HTTP request for asking workers; `tell` records which process hung, and why."""
        self._listeners = listeners
        self._workers = workers
        self._drain_seconds = drain_seconds
        self._question = question
        self._tell = tell
        # Signals and waiting threads only put orders here: one thread carries them out.
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._running: list[Server] = []
        self._serving: Server | None = None
        self._successor: Server | None = None
        self._asked_again = False
        self._ending = False
        self._retires_at = inf  # monotonic seconds: the end of a drain
        self._listening = True
        self._led_to: set[int] | None = None
        self._looked = time.monotonic()
        self._status = 0
        self._watchdog = Watchdog()

    def run(self) -> int:
        """Return 0, or the status of a server that ended by itself."""
        self._obey(signal.SIGHUP, self._replace)
        self._obey(signal.SIGTERM, self._drain)
        self._obey(signal.SIGINT, self._end)
        self._obey(signal.SIGCHLD, lambda: None)  # wakes the loop, which looks for children that have ended
        self._serving = self._start()
        while self._running:
            self._obey_next()
            for server in [each for each in self._running if each.status() is not None]:
                self._has_ended(server)
            self._take_leave_of_orphans()
        return self._status

    def _take_leave_of_orphans(self) -> None:
        """Reap orphans: as process 1 of a container this process is the parent of each."""
        ours = {server.pid for server in self._running}
        with contextlib.suppress(ChildProcessError):
            # Only a look: the exit of a server itself is for `status`.
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if ended.si_pid in ours:
                    return
                os.waitpid(ended.si_pid, 0)

    def _obey_next(self) -> None:
        try:
            self._next_order()()
        except (OSError, RuntimeError):  # no process, thread or descriptor can be had: the site goes on
            logger.exception("an order could not be carried out; the servers go on")

    def _next_order(self) -> Order:
        try:
            return self._orders.get(timeout=max(0.0, self._looked + wedged.EVERY - time.monotonic()))
        except Empty:
            return self._look

    def _obey(self, number: signal.Signals, order: Order) -> None:
        signal.signal(number, lambda *_: self._orders.put(order))

    def _start(self) -> Server:
        server = Server(self._listeners, self._workers)
        self._running.append(server)
        try:
            threading.Thread(target=self._listen_to, args=(server,), daemon=True).start()
        except RuntimeError:
            server.end()  # no thread would learn that its workers are up
            raise
        return server

    def _listen_to(self, server: Server) -> None:
        for worker, pid in server.announced():
            self._orders.put(partial(self._worker_is_up, server, worker, pid))

    def _worker_is_up(self, server: Server, number: int, pid: int) -> None:
        connect = partial(self._listeners.connection_to, number)
        try:
            worker = Worker(number, pid, wedged.Question(connect, self._question))
        except ProcessLookupError:
            return  # it has ended already
        # Begin with watching it: the end of a worker that is not watched would not be noticed.
        threading.Thread(target=self._watch, args=(server, worker), daemon=True).start()
        server.workers[number] = worker
        logger.info("worker %d, process %d, is up", number + 1, pid)
        if server is self._successor and len(server.workers) == self._workers:
            self._take_over(server)
        self._lead()

    def _watch(self, server: Server, worker: Worker) -> None:
        if worker.wait():
            self._orders.put(partial(self._worker_has_ended, server, worker))

    def _worker_has_ended(self, server: Server, worker: Worker) -> None:
        worker.forget()
        if server.workers.get(worker.number) is not worker:
            return
        del server.workers[worker.number]
        if server is self._serving and not self._ending:
            if not worker.killed:
                logger.error("worker %d, process %d, ended by itself", worker.number + 1, worker.pid)
            self._lead()

    def _lead(self) -> None:
        """Lead new connections to workers that serve, and not to wedged ones."""
        if self._serving is None or not self._listening:
            return
        workers = {number for number, worker in self._serving.workers.items() if not worker.passed_by}
        if workers != self._led_to:
            self._led_to = workers
            self._listeners.lead_to(workers)

    def _look(self) -> None:
        """Look for processes that hang, and tell systemd that this one does not."""
        self._watchdog.tell()
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, wedged.LONGEST), now
        if now >= self._retires_at:
            self._retire_all()
        for server in list(self._running):
            self._look_at_server(server, passed)
            for worker in server.workers.values():
                self._look_at_worker(server, worker, passed)
        self._lead()

    def _look_at_worker(self, server: Server, worker: Worker, passed: float) -> None:
        signs = server.signs
        if signs is None or worker.killed or not signs.beats(worker.number):
            return
        # While two servers accept from the same queues, it is unknown which of them was asked.
        alone = self._successor is None or not self._successor.workers
        asked = server is self._serving and self._listening and alone and worker.question.put()
        shown = {
            "beats": signs.beats(worker.number),
            "answers": signs.answers(worker.number),
            "questions": worker.question.answers,
        }
        worker.silence.look(shown, "answers" if asked else "beats", passed)
        worker.deafness.look(shown, "questions" if asked else "beats", passed)
        worker.age += passed
        name = f"worker {worker.number + 1}, process {worker.pid}"
        # Beats do not show that new connections are answered.
        if asked and worker.passed_by and worker.deafness.seconds < wedged.PASSED_BY_AFTER:
            worker.passed_by = False
            logger.warning("%s answers again", name)
        elif not worker.passed_by and worker.deafness.is_wedged(wedged.PASSED_BY_AFTER):
            worker.passed_by = True
            logger.warning("%s hangs: new connections pass it by; %s", name, worker.deafness.reason())
        if worker.silence.is_wedged(wedged.ENDED_AFTER) and worker.age >= wedged.NEVER_ENDED_BEFORE:
            reason = worker.silence.reason()
            worker.kill()
            logger.error("%s hung, and was killed: %s", name, reason)
            self._tell(name, reason)

    def _look_at_server(self, server: Server, passed: float) -> None:
        server.stopped = server.stopped + passed if processor.is_stopped(server.pid) else 0.0
        server.short = server.short + passed if len(server.workers) < self._workers else 0.0
        if server is self._serving and not self._ending:
            # Its workers may be well, but no new one is started when one dies. So a successor is needed.
            if self._successor is None and (
                server.stopped >= wedged.ENDED_AFTER or server.short >= _COMES_UP_WITHIN
            ):
                reason = (
                    "it was stopped" if server.stopped else "it starts no worker in place of one that ended"
                )
                logger.error("server %d is to be replaced: %s", server.pid, reason)
                self._tell(f"server {server.pid}", reason)
                server.short = server.stopped = 0.0
                self._replace()
        elif server is self._successor and server.short >= _COMES_UP_WITHIN:
            logger.error("server %d has not come up within %.0f s", server.pid, _COMES_UP_WITHIN)
            server.short = 0.0
            server.end()
        elif server.stopped >= wedged.ENDED_AFTER:
            logger.error("server %d was stopped and cannot end: it is killed", server.pid)
            server.kill()

    def _replace(self) -> None:
        if self._ending:
            return
        if self._successor is not None:
            self._asked_again = True  # the latest changes may have come too late for the present successor
            return
        self._successor = self._start()
        logger.info("server %d is to be replaced by server %d", self._pid(), self._successor.pid)

    def _take_over(self, server: Server) -> None:
        old, self._serving, self._successor = self._serving, server, None
        self._status = 0  # the status of an earlier server no longer counts
        self._lead()
        if old is not None:
            logger.info("server %d has taken over from server %d", server.pid, old.pid)
            old.retire()
        self._once_more()

    def _has_ended(self, server: Server) -> None:
        self._running.remove(server)
        server.forget()
        if server is self._successor:
            self._successor = None
            if self._serving is None:
                logger.error("server %d ended before it was up, and there is no other", server.pid)
                self._end()
                return
            logger.error("server %d ended before it was up: server %d goes on", server.pid, self._pid())
            self._once_more()
        elif server is self._serving and not self._ending:
            self._status = server.status() or 1
            logger.error("server %d ended by itself", server.pid)
            self._serving = None
            # A successor that is being started takes over, and finds waiting clients in the queue.
            if self._successor is None:
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
        self._retires_at = time.monotonic() + self._drain_seconds

    def _retire_all(self) -> None:
        self._retires_at = inf
        self._listening = False
        self._listeners.close()
        for server in self._running:
            server.retire()

    def _end(self) -> None:
        self._ending = True
        self._listening = False
        for server in self._running:
            server.end()

    def _pid(self) -> int:
        return 0 if self._serving is None else self._serving.pid
