"""A server as our own child: found by its process id, waited for, and dead when we are."""

import ctypes
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
# The kernel sends the parent-death signal when the *thread* that forked ends. This one lives as long as the
# process, so that a test may restart a server from a thread of its own.
_SPAWNER = ThreadPoolExecutor(1, thread_name_prefix="spawner")
# Sockets that are bound to the ports last given out, so that no other process of the suite takes one before
# its server listens, or while that is restarted. Not all of them: a process has few descriptors.
_RESERVED: deque[int] = deque()
_MOST_RESERVED = 200


def free_port() -> int:
    """Return a free loopback port below the ephemeral range, which nobody else is given meanwhile.

    Above it, a client of a dead server may be given that server's own port, connect to itself, and see life.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(lowest - 12_000, lowest)  # noqa: S311
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            # A server, which sets this too, may now listen there; the `bind` of another call fails.
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _RESERVED.append(candidate.detach())
        if len(_RESERVED) > _MOST_RESERVED:
            os.close(_RESERVED.popleft())
        return port


def _is_served(port: int) -> bool:
    """Say whether somebody listens at this loopback port; asking leaves no connection in its queue."""
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


class ServerProcess(ABC):
    """One server on one port, started by `start()` or as a context manager, as often as wanted."""

    #: Seconds that a start and an orderly stop may take.
    patience = 90.0

    def __init__(self, directory: Path | None = None) -> None:
        """`directory` holds its files; without one it makes its own, which goes at the end of its block."""
        self.port = free_port()
        name = type(self).__name__.removesuffix("Server").lower()
        self.directory = directory or Path(tempfile.mkdtemp(prefix=f"zenow-{name}-"))
        # Also where the block is never entered, and after Ctrl-C.
        self._remove_own = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        if directory is not None:
            self._remove_own.detach()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id. Raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError(f"{type(self).__name__} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it and return once it answers. Raises RuntimeError with the end of its log."""
        if self.running:
            return self
        deadline = time.monotonic() + self.patience
        # What still answers there would be taken for this one, which then ends because the port is in use.
        while _is_served(self.port):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{type(self).__name__} finds another server at its port {self.port}")
            time.sleep(0.02)
        self._process = self._spawn(self.command())
        while not self.answers():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{type(self).__name__} did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """End it in order; kill it when it takes too long."""
        if self._process is None:
            return
        self.thaw()
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(self.patience)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL it and all its children, as a power cut does; return once all of them have ended."""
        killed = self._signal_all(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(self.patience)
        self._process = None
        self._wait_for(killed)

    def freeze(self) -> None:
        """SIGSTOP it and all its children: its sockets stay open and nobody answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def restart(self) -> Self:
        self.stop()
        return self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        below = descendants(self.pid) if self.running else []
        self.stop()
        self._wait_for(below)
        self._remove_own()

    def _wait_for(self, processes: Sequence[int]) -> None:
        """Let what it started end too: that may still write. Raises RuntimeError when it does not."""
        deadline = time.monotonic() + self.patience
        while left := [each for each in processes if _lives(each)]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{type(self).__name__} has left processes behind: {left}")
            time.sleep(0.02)

    #: Ends it in order.
    stop_signal = signal.SIGTERM
    #: What the kernel sends it when we die. Its own children are its own affair then.
    death_signal = signal.SIGKILL

    @property
    def log(self) -> Path:
        """The file that takes its output."""
        return self.directory / "log"

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the command that runs it in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Say whether it serves requests now."""

    def environment(self) -> Mapping[str, str] | None:
        """Return its environment, None for our own."""
        return None

    #: The user it runs as, None for our own.
    user: str | None = None

    def _spawn(self, command: Sequence[str | Path]) -> subprocess.Popen[bytes]:
        def spawn() -> subprocess.Popen[bytes]:
            with self.log.open("ab") as log:
                return subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self.environment(),
                    cwd="/",
                    start_new_session=True,  # A Ctrl-C is for us: we end our servers in order.
                    preexec_fn=lambda: _LIBC.prctl(_PR_SET_PDEATHSIG, int(self.death_signal)),
                    **as_user(self.user),
                )

        return _SPAWNER.submit(spawn).result()

    def _signal_all(self, number: signal.Signals) -> list[int]:
        """Signal it and all its children; return their ids."""
        if not self.running:
            return []
        everybody = [self.pid, *descendants(self.pid)]
        for pid in everybody:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return everybody


def as_user(name: str | None) -> dict[str, Any]:
    """Return the arguments of `subprocess` that drop to this user and none of our groups."""
    return {} if name is None else {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


def children_of(pid: int) -> list[int]:
    """Return the ids of the processes that this one has started."""
    return _families().get(pid, [])


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below this one."""
    families = _families()
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = families.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _lives(pid: int) -> bool:
    """Say whether there is such a process, other than one that is only waited for."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _families() -> dict[int, list[int]]:
    """Return the children of each process that has any."""
    families: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            families.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    return families
