"""What a server inherits from its supervisor, and how a worker takes part in being replaced.

Descriptors: the sockets on which all servers listen, one for each worker; a pipe that ends when this server
is to retire, or when the supervisor has died; a pipe into which each worker says that it has loaded the site;
a pipe that ends when this server is being drained.

A supervisor outlives deploys, and its servers may have older or newer code than it has. So what was added
later has a variable of its own, and may be absent.
"""

import logging
import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

VARIABLE = "ZENOW_HANDOVER"
DRAIN_VARIABLE = "ZENOW_DRAIN"

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

logger = logging.getLogger("zenow.handover")


@dataclass(frozen=True, kw_only=True, slots=True)
class Handover:
    """Descriptors of this process; `Handover.inherited()` finds them."""

    listeners: tuple[int, ...]
    retire: int
    ready: int
    drain: int | None = None

    @classmethod
    def inherited(cls) -> Self | None:
        """Return what the supervisor gave; None where another server runs the site."""
        told = os.environ.get(VARIABLE)
        if told is None:
            return None
        *listeners, retire, ready = map(int, told.split(","))
        drain = os.environ.get(DRAIN_VARIABLE)
        return cls(
            listeners=tuple(listeners),
            retire=retire,
            ready=ready,
            drain=None if drain is None else int(drain),
        )

    def descriptors(self) -> tuple[int, ...]:
        """Return all that a child must inherit."""
        return (*self._first(), *([] if self.drain is None else [self.drain]))

    def as_environment(self) -> dict[str, str]:
        """Return the variables that tell a child."""
        told = {VARIABLE: ",".join(map(str, self._first()))}
        return told if self.drain is None else told | {DRAIN_VARIABLE: str(self.drain)}

    def _first(self) -> tuple[int, ...]:
        return (*self.listeners, self.retire, self.ready)

    def wait(self) -> None:
        """Return when this server is to retire."""
        _wait_for_the_end(self.retire)

    def wait_for_drain(self) -> None:
        """Return when this server is being drained."""
        if self.drain is not None:
            _wait_for_the_end(self.drain)

    def announce(self, worker: int) -> None:
        """Say that this process, the worker of that number, has loaded the site."""
        os.write(self.ready, f"{worker} {os.getpid()}\n".encode())


def _wait_for_the_end(pipe: int) -> None:
    # Nothing is ever written: a byte would reach one process, the end of the pipe reaches all.
    os.read(pipe, 1)


class Retiring:
    """A worker's part: once told to retire it takes no new connection, and each answer ends an old one."""

    def __init__(self, handover: Handover, *, linger: float, drain: Callable[[], None]) -> None:
        """Linger for so many seconds once retired; call `drain` when the server is being drained."""
        self._handover = handover
        self._linger = linger
        self._drain = drain
        self._retired = False

    def watch(self) -> None:
        """Wait, beside the requests, to be told."""
        threading.Thread(target=self._watch, name="zenow-handover", daemon=True).start()
        if self._handover.drain is not None:
            threading.Thread(target=self._watch_for_drain, name="zenow-drain", daemon=True).start()

    def closing(self, app: Wsgi) -> Wsgi:
        """Let answers say that their connection ends, so that its client does not ask on it again.

        WSGI leaves this header to the server, which does not know that it will end soon.
        """

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
                if self._retired:
                    headers = [*headers, ("Connection", "close")]
                return start_response(status, headers, *error)

            return app(environ, start)

        return application

    def _watch_for_drain(self) -> None:
        self._handover.wait_for_drain()
        self._drain()

    def _watch(self) -> None:
        server = os.getppid()
        self._handover.wait()
        stop_accepting(self._handover.listeners)
        self._retired = True
        logger.info("retiring: no new connections")
        # The server ends its workers. Where it was killed, they end by themselves.
        time.sleep(self._linger)
        while os.getppid() == server:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)


def stop_accepting(listeners: Iterable[int]) -> None:
    """Put a socket to which nobody connects in place of the listening ones, in this process alone."""
    # Note [Stop accepting before ending]
    # granian closes a connection that it has accepted and whose request it has not yet read: that client gets
    # no answer. So a worker stops accepting well before it ends. granian has no call for it, and a listening
    # socket cannot be shut down for one process alone; but what `accept` is called on can be replaced. The
    # queue, with whoever waits in it, stays with the other processes.
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
