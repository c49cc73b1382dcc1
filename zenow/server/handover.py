"""What a server inherits from its supervisor, and what a worker does when its server is replaced.

It inherits descriptors: the listening sockets of all servers, one for each worker; a pipe that ends when this
server is to retire, or when the supervisor has died; a pipe to which each worker writes when it has loaded
the site; a pipe that ends when this server is to drain; memory in which workers count signs of life.

A supervisor outlives deploys, so its servers may have older or newer code. So each descriptor that was added
later has its own environment variable, and may be absent.
"""

import logging
import os
import select
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from zenow.server.signs import Signs

VARIABLE = "ZENOW_HANDOVER"
# The variables of descriptors that were added later, by field.
VARIABLES = {"drain": "ZENOW_DRAIN", "signs": "ZENOW_SIGNS"}

# Seconds between two beats of a worker.
BEAT = 0.25
# Seconds that a worker has for the requests that run, once it is told to end. Then it is killed.
ENDS_WITHIN = 10

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

logger = logging.getLogger("zenow.handover")


@dataclass(frozen=True, kw_only=True, slots=True)
class Handover:
    """The inherited descriptors; `Handover.inherited()` finds them."""

    listeners: tuple[int, ...]
    retire: int
    ready: int
    drain: int | None = None
    signs: int | None = None

    @classmethod
    def inherited(cls) -> Self | None:
        """Return the descriptors that the supervisor gave; None if another server runs the site."""
        told = os.environ.get(VARIABLE)
        if told is None:
            return None
        *listeners, retire, ready = map(int, told.split(","))
        later = {name: int(os.environ[key]) for name, key in VARIABLES.items() if key in os.environ}
        return cls(listeners=tuple(listeners), retire=retire, ready=ready, **later)

    def descriptors(self) -> tuple[int, ...]:
        """Return all descriptors that a child must inherit."""
        return (*self._first(), *self._later().values())

    def as_environment(self) -> dict[str, str]:
        """Return the environment variables that name the descriptors to a child."""
        later = {VARIABLES[name]: str(descriptor) for name, descriptor in self._later().items()}
        return {VARIABLE: ",".join(map(str, self._first())), **later}

    def _first(self) -> tuple[int, ...]:
        return (*self.listeners, self.retire, self.ready)

    def _later(self) -> dict[str, int]:
        found = {name: getattr(self, name) for name in VARIABLES}
        return {name: descriptor for name, descriptor in found.items() if descriptor is not None}

    def wait(self) -> None:
        """Return when this server is to retire."""
        # Nothing is ever written: a byte would reach one process; the end of the pipe reaches all.
        os.read(self.retire, 1)

    def announce(self, worker: int) -> None:
        """Tell the supervisor that this process, the worker of that number, has loaded the site."""
        os.write(self.ready, f"{worker} {os.getpid()}\n".encode())


class Member:
    """A worker's part in its server: it gives signs of life, and drains and retires when told.

    Once retired it accepts no new connection, and each answer ends an old one.
    """

    def __init__(self, handover: Handover, worker: int, *, linger: float, drain: Callable[[], None]) -> None:
        """Once retired, live on for `linger` seconds. `drain` is called when the server is to drain."""
        self._handover = handover
        self._worker = worker
        self._linger = linger
        self._drain = drain
        self._signs = None if handover.signs is None else Signs(handover.signs)
        self._retired_at: float | None = None

    def watch(self) -> None:
        """Begin to beat, and to wait for the supervisor's orders, in a thread."""
        threading.Thread(target=self._watch, name="zenow-handover", daemon=True).start()

    def serving(self, app: Wsgi) -> Wsgi:
        """Return the application with its answers counted; once retired, each answer ends its connection.

        WSGI leaves the header `Connection` to the server, but granian does not know that it will end soon.
        """

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
                if self._retired_at is not None:
                    headers = [*headers, ("Connection", "close")]
                return start_response(status, headers, *error)

            try:
                return app(environ, start)
            finally:
                if self._signs is not None:
                    self._signs.answered(self._worker)

        return application

    def _watch(self) -> None:
        server = os.getppid()
        told = select.poll()
        for pipe in (self._handover.retire, self._handover.drain):
            if pipe is not None:
                told.register(pipe, 0)  # its end is reported in any case
        while self._retired_at is None or self._is_needed(server, self._retired_at):
            for pipe, _ in told.poll(BEAT * 1000):
                told.unregister(pipe)
                if pipe == self._handover.retire:
                    self._retire()
                else:
                    self._drain()
            if self._signs is not None:
                self._signs.beat(self._worker)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ENDS_WITHIN)
        # A request hangs, or granian goes on with nothing left to answer. The server would kill this process
        # now, but it is dead.
        os.kill(os.getpid(), signal.SIGKILL)

    def _retire(self) -> None:
        stop_accepting(self._handover.listeners)
        self._retired_at = time.monotonic()
        logger.info("retiring: no new connections")

    def _is_needed(self, server: int, retired_at: float) -> bool:
        # The server ends its workers. If it was killed, they end by themselves.
        return time.monotonic() < retired_at + self._linger or os.getppid() == server


def stop_accepting(listeners: Iterable[int]) -> None:
    """In this process alone, replace the listening sockets by one to which nobody connects."""
    # Note [Stop accepting before ending]
    # When granian ends, it closes connections that it has accepted but not yet read, and those clients get no
    # answer. So a worker stops accepting well before it ends. granian has no call for that, and a listening
    # socket cannot be shut down for one process alone. But its descriptor can be replaced. The queue, with
    # the clients that wait in it, stays with the other processes.
    nobody = socket.socket(socket.AF_UNIX)
    nobody.bind("")  # an abstract name that the kernel chooses
    nobody.listen()
    nobody.setblocking(False)
    queues = {os.fstat(listener).st_ino for listener in listeners}
    for descriptor in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        try:
            found = os.fstat(descriptor)
        except OSError:  # closed meanwhile
            continue
        if stat.S_ISSOCK(found.st_mode) and found.st_ino in queues:
            os.dup2(nobody.fileno(), descriptor)
    nobody.close()
