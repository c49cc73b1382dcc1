"""What the store asks of Linux, for processes that are none: files, two kinds of locks, a clock.

Each call that others can notice is a step, before which the schedule may stop or kill its process.
`test_kernel` does the same on Linux itself, and compares.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

from resilience.primitives import host_state
from resilience.primitives.store import host, lock, marks, names, slots, users
from resilience.primitives.store.slots import _FLOCK, _GETLK, _SETLK

if TYPE_CHECKING:
    from tests.interleaving.world import Process, World

START = 1_000.0
# How long a process that waits for the lock sleeps between looks, in seconds: with the store's own 0.5 ms a
# wait would be a hundred looks.
PAUSE = 0.03


class File:
    """An inode, and who has locked it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.size = 0
        self.holder: Opened | None = None
        self.bytes: dict[int, Opened] = {}


class Opened:
    """An open file description: what a lock belongs to."""

    def __init__(self, file: File, process: Process | None) -> None:
        self.file = file
        self.process = process


class Stat(NamedTuple):
    st_ino: int
    st_size: int


class Kernel:
    """The files and the clock of one host."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.begin({}, START)

    def begin(self, paths: dict[str, int], now: float) -> None:
        """Have these files, which nobody has open."""
        self.paths = {path: File(number) for path, number in paths.items()}
        self.now = now
        self.opened: dict[int, Opened] = {}
        self._numbers = max(paths.values(), default=0)
        self._descriptors = 2
        self._state: object = None
        self.replaced = 0
        """How often the lock was replaced: its holder was stopped for more than a second."""

    def state(self) -> object:
        """Return what tells this state from others, save the time."""
        if self._state is None:
            held = sorted(
                (
                    -1 if it.process is None else it.process.index,
                    it.file.number,
                    it.file.holder is it,
                    *sorted(place for place, holder in it.file.bytes.items() if holder is it),
                )
                for it in self.opened.values()
            )
            named = sorted((path, file.number, file.size) for path, file in self.paths.items())
            self._state = hash((tuple(held), tuple(named)))
        return self._state

    def end(self, process: Process) -> None:
        """Do what the kernel does when a process dies."""
        for descriptor in [it for it, opened in self.opened.items() if opened.process is process]:
            self._close(descriptor)

    def holds(self, process: Process) -> bool:
        """Say whether the process has a lock that others may wait for."""
        return any(it.process is process and it.file.holder is it for it in self.opened.values())

    def make(self, path: str) -> File:
        """Make a file."""
        self._numbers += 1
        self._state = None
        return self.paths.setdefault(path, File(self._numbers))

    def monotonic(self) -> float:
        process = self._world.process
        process.seen = hash((process.seen, self.now))
        return self.now

    def sleep(self, seconds: float) -> None:
        self._world.sleep(seconds)

    def open(self, path: VirtualPath, flags: int, mode: int = 0o777) -> int:
        self._world.arrive("open", path.name)
        file = self.paths.get(str(path))
        if file is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
            file = self.make(str(path))
        self._descriptors += 1
        self._state = None
        self.opened[self._descriptors] = Opened(file, self._world.process)
        self._world.observe(file.number)
        return self._descriptors

    def close(self, descriptor: int) -> None:
        self._world.arrive("close", "")
        self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        opened = self.opened.pop(descriptor, None)
        if opened is None:
            raise OSError(errno.EBADF, "no such descriptor")
        self._state = None
        if opened.file.holder is opened:
            opened.file.holder = None
        for place in [it for it, holder in opened.file.bytes.items() if holder is opened]:
            del opened.file.bytes[place]

    def fstat(self, descriptor: int) -> Stat:
        # What it says of an open file does not change any more: nobody can notice when it was asked.
        file = self.opened[descriptor].file
        return Stat(file.number, file.size)

    def ftruncate(self, descriptor: int, size: int) -> None:
        self.opened[descriptor].file.size, self._state = size, None

    def stat(self, path: VirtualPath) -> Stat:
        self._world.arrive("stat", path.name)
        file = self.paths.get(str(path))
        if file is None:
            self._world.observe(0)
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        self._world.observe(file.number)
        return Stat(file.number, file.size)

    def rename(self, path: VirtualPath, target: VirtualPath) -> None:
        self._world.arrive("rename", f"{path.name} to {target.name}")
        self.paths[str(target)] = self.paths.pop(str(path))
        self.replaced += 1
        # So whoever takes the new lock takes it later than the last holder of the old one took that.
        self.now += 0.001
        self._state = None

    def flock(self, descriptor: int, how: int) -> None:
        self._world.arrive("unlock" if how == fcntl.LOCK_UN else "flock", "")
        opened = self.opened[descriptor]
        held = opened.file.holder
        if how == fcntl.LOCK_UN:
            if held is opened:
                opened.file.holder = self._state = None
            return
        if how != fcntl.LOCK_EX | fcntl.LOCK_NB:
            raise NotImplementedError(how)
        self._world.observe(held is None or held is opened)
        if held is not None and held is not opened:
            raise BlockingIOError(errno.EAGAIN, "locked")
        opened.file.holder, self._state = opened, None

    def fcntl(self, descriptor: int, command: int, asked: bytes) -> bytes:
        """Lock a byte for the open file description, or ask who has."""
        kind, whence, place, length, pid = _FLOCK.unpack(asked)
        self._world.arrive("lock of slot" if command == _SETLK else "slot taken?", place)
        opened = self.opened[descriptor]
        held = opened.file.bytes.get(place)
        free = held is None or held is opened
        self._world.observe(free)
        if command == _GETLK:
            return _FLOCK.pack(fcntl.F_UNLCK if free else kind, whence, place, length, pid)
        if not free:
            raise BlockingIOError(errno.EAGAIN, "locked")
        opened.file.bytes[place], self._state = opened, None
        return asked


class VirtualPath(PurePosixPath):
    """A path of the kernel that is in use."""

    __slots__ = ()

    def stat(self, *, follow_symlinks: bool = True) -> Stat:
        return _kernels[-1].stat(self)

    def rename(self, target: VirtualPath) -> None:
        _kernels[-1].rename(self, target)


_kernels: list[Kernel] = []


class _Os:
    """What the store uses of `os`, and nothing else: what is missing here is missed loudly."""

    O_RDWR, O_CREAT, O_CLOEXEC, O_NOFOLLOW = os.O_RDWR, os.O_CREAT, os.O_CLOEXEC, os.O_NOFOLLOW
    SEEK_SET = os.SEEK_SET

    def __init__(self, world: World) -> None:
        kernel = world.kernel
        self.open, self.close, self.getpid = kernel.open, kernel.close, world.pid
        self.fstat, self.ftruncate = kernel.fstat, kernel.ftruncate


class _Fcntl:
    LOCK_EX, LOCK_NB, LOCK_UN = fcntl.LOCK_EX, fcntl.LOCK_NB, fcntl.LOCK_UN
    F_WRLCK, F_UNLCK = fcntl.F_WRLCK, fcntl.F_UNLCK

    def __init__(self, kernel: Kernel) -> None:
        self.flock, self.fcntl = kernel.flock, kernel.fcntl


class _Time:
    def __init__(self, kernel: Kernel) -> None:
        self.monotonic, self.sleep = kernel.monotonic, kernel.sleep


class _Random:
    """Numbers that are new each time, and the same in each run."""

    def __init__(self, world: World) -> None:
        self._world = world

    def getrandbits(self, bits: int) -> int:
        return (self._world.process.index << 32) + self._world.steps

    def random(self) -> float:
        return 0.5


@contextmanager
def in_place(world: World) -> Iterator[None]:
    """Let the store's own code ask this world's kernel instead of Linux."""
    kernel = world.kernel
    its_os, its_fcntl, its_time = _Os(world), _Fcntl(kernel), _Time(kernel)
    with ExitStack() as stack:
        for module, name, instead in (
            (lock, "os", its_os),
            (lock, "fcntl", its_fcntl),
            (lock, "time", its_time),
            (marks, "time", its_time),
            (lock, "_PAUSE", PAUSE),
            (slots, "os", its_os),
            (slots, "fcntl", its_fcntl),
            (host, "os", its_os),
            (host, "time", its_time),
            (host, "open_mapped", world.mapped),
            (host, "try_locks", lambda path: None),
            (names, "time", its_time),
            (host_state, "random", _Random(world)),
            (users, "time", its_time),
        ):
            stack.enter_context(patch.object(module, name, instead))
        _kernels.append(kernel)
        try:
            yield
        finally:
            _kernels.pop()
