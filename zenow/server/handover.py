"""What a server inherits from its supervisor, and how a worker takes part in being replaced.

Descriptors: the sockets on which all servers listen, one for each worker; a pipe that ends when this server
is to retire, or when the supervisor has died; a pipe into which each worker says that it has loaded the site;
a pipe that ends when this server is being drained; memory in which workers count signs of life.

A supervisor outlives deploys, and its servers may have older or newer code than it has. So what was added
later has a variable of its own, and may be absent.
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
# What was added later, by its field.
VARIABLES = {"drain": "ZENOW_DRAIN", "signs": "ZENOW_SIGNS"}

# How often a worker gives a sign of life by itself, in seconds.
BEAT = 0.25

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

logger = logging.getLogger("zenow.handover")


@dataclass(frozen=True, kw_only=True, slots=True)
class Handover:
    """Descriptors of this process; `Handover.inherited()` finds them."""

    listeners: tuple[int, ...]
    retire: int
    ready: int
    drain: int | None = None
    signs: int | None = None

    @classmethod
    def inherited(cls) -> Self | None:
        """Return what the supervisor gave; None where another server runs the site."""
        told = os.environ.get(VARIABLE)
        if told is None:
            return None
        *listeners, retire, ready = map(int, told.split(","))
        later = {name: int(os.environ[key]) for name, key in VARIABLES.items() if key in os.environ}
        return cls(listeners=tuple(listeners), retire=retire, ready=ready, **later)

    def descriptors(self) -> tuple[int, ...]:
        """Return all that a child must inherit."""
        return (*self._first(), *self._later().values())

    def as_environment(self) -> dict[str, str]:
        """Return the variables that tell a child."""
        later = {VARIABLES[name]: str(descriptor) for name, descriptor in self._later().items()}
        return {VARIABLE: ",".join(map(str, self._first())), **later}

    def _first(self) -> tuple[int, ...]:
        return (*self.listeners, self.retire, self.ready)

    def _later(self) -> dict[str, int]:
        found = {name: getattr(self, name) for name in VARIABLES}
        return {name: descriptor for name, descriptor in found.items() if descriptor is not None}

    def wait(self) -> None:
        """Return when this server is to retire."""
        # Nothing is ever written: a byte would reach one process, the end of the pipe reaches all.
        os.read(self.retire, 1)

    def announce(self, worker: int) -> None:
        """Say that this process, the worker of that number, has loaded the site."""
        os.write(self.ready, f"{worker} {os.getpid()}\n".encode())


class Member:
    """A worker's part: it gives signs of life, says that it is being drained, and retires when told.

    Once retired it takes no new connection, and each answer ends an old one.
    """

    def __init__(self, handover: Handover, worker: int, *, linger: float, drain: Callable[[], None]) -> None:
        """Live on for `linger` seconds once retired; call `drain` when the server is being drained."""
        self._handover = handover
        self._worker = worker
        self._linger = linger
        self._drain = drain
        self._signs = None if handover.signs is None else Signs(handover.signs)
        self._retired_at: float | None = None

    def watch(self) -> None:
        """Beat, and listen to what is told, beside the requests."""
        threading.Thread(target=self._watch, name="zenow-handover", daemon=True).start()

    def serving(self, app: Wsgi) -> Wsgi:
        """Count the answers; once retired let them say that their connection ends, so that nobody asks on it.

        WSGI leaves this header to the server, which does not know that it will end soon.
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
                told.register(pipe, 0)  # Its end is told in any case.
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

    def _retire(self) -> None:
        stop_accepting(self._handover.listeners)
        self._retired_at = time.monotonic()
        logger.info("retiring: no new connections")

    def _is_needed(self, server: int, retired_at: float) -> bool:
        # The server ends its workers. Where it was killed, they end by themselves.
        return time.monotonic() < retired_at + self._linger or os.getppid() == server


def stop_accepting(listeners: Iterable[int]) -> None:
    """Put a socket to which nobody connects in place of the listening ones, in this process alone."""
    # Note [Stop accepting before ending]
    # granian closes a connection that it has accepted and whose request it has not yet read: that client gets
    # no answer. So a worker stops accepting well before it ends. granian has no call for it, and a listening
    # socket cannot be shut down for one process alone; but what `accept` is called on can be replaced. The
    # queue, with the clients that wait in it, stays with the other processes.
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
