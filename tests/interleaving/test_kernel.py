"""The kernel of the search does what Linux does, as far as the store asks it."""

import errno
import fcntl
import os
import random
from pathlib import Path
from typing import Any, cast

import pytest

from resilience.primitives.store.slots import _FLOCK, _GETLK, _SETLK
from tests.interleaving import kernel as module
from tests.interleaving.kernel import Kernel, VirtualPath

FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
STEPS = 300


class Alone:
    """A world in which one process after the other asks the kernel, without a schedule."""

    def __init__(self) -> None:
        self.process: Any = None

    def arrive(self, *_: object) -> None:
        """Nobody comes between."""

    def observe(self, *_: object) -> None:
        """Nobody joins."""


class Member:
    """A process, as the kernel knows it."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.seen = 0


class Files:
    """The files that three processes have open, in the search's kernel or in Linux; all answers, in order."""

    def __init__(self, calls: Any, folder: Any, world: Alone | None) -> None:
        self._calls = calls
        self._folder = folder
        self._world = world
        self._members = [Member(index) for index in range(3)]
        self._open: list[list[int]] = [[], [], []]
        self.said: list[tuple[int, str, Any]] = []

    def do(self, who: int, what: str, which: int) -> None:
        if self._world is not None:
            self._world.process = self._members[who]
        try:
            self.said.append((who, what, getattr(self, what)(who, which)))
        except OSError as error:
            # A lock that another one has is one or the other, and Python knows no difference.
            code = "busy" if error.errno in (errno.EAGAIN, errno.EACCES) else error.errno
            self.said.append((who, what, code))

    def _one(self, who: int, which: int) -> int:
        mine = self._open[who]
        return mine[which % len(mine)] if mine else -1

    def opens(self, who: int, which: int) -> None:
        self._open[who].append(self._calls.open(self._folder / f"file-{which % 2}", FLAGS, 0o600))

    def closes(self, who: int, which: int) -> None:
        file = self._one(who, which)
        if file >= 0:
            self._open[who].remove(file)
        self._calls.close(file)

    def locks(self, who: int, which: int) -> None:
        if (file := self._one(who, which)) >= 0:
            self._calls.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unlocks(self, who: int, which: int) -> None:
        if (file := self._one(who, which)) >= 0:
            self._calls.flock(file, fcntl.LOCK_UN)

    def claims(self, who: int, which: int) -> None:
        if (file := self._one(who, which)) >= 0:
            self._calls.fcntl(file, _SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, which % 3, 1, 0))

    def asks(self, who: int, which: int) -> object:
        if (file := self._one(who, which)) < 0:
            return None
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, which % 3, 1, 0)
        return _FLOCK.unpack(self._calls.fcntl(file, _GETLK, asked))[0] != fcntl.F_UNLCK

    def replaces(self, who: int, which: int) -> object:
        aside = self._folder / f"aside-{who}"
        file = self._calls.open(aside, FLAGS, 0o600)
        self._calls.ftruncate(file, which)
        self._calls.close(file)
        aside.rename(self._folder / f"file-{which % 2}")
        return self.looks(who, which)

    def looks(self, who: int, which: int) -> object:
        """Say which of the open files is the one that the path names, and how long they are."""
        found = (self._folder / f"file-{which % 2}").stat(follow_symlinks=False)
        mine = [self._calls.fstat(file) for file in self._open[who]]
        return found.st_size, [(one.st_ino == found.st_ino, one.st_size) for one in mine]

    def dies(self, who: int, which: int) -> None:
        """Close all, as Linux does for a process that was killed."""
        for file in self._open[who]:
            self._calls.close(file)
        self._open[who] = []


class Linux:
    open = staticmethod(os.open)
    close = staticmethod(os.close)
    fstat = staticmethod(os.fstat)
    ftruncate = staticmethod(os.ftruncate)
    flock = staticmethod(fcntl.flock)
    fcntl = staticmethod(fcntl.fcntl)


_ASKED = (
    *("opens", "opens", "closes", "locks", "locks", "unlocks"),
    *("claims", "asks", "replaces", "looks", "dies"),
)


def test_whatever_is_asked_is_answered_as_linux_answers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: set[object] = set()
    for seed in range(20):
        rng = random.Random(seed)  # noqa: S311 - repeatable, no secret
        world = Alone()
        kernel = Kernel(cast("Any", world))
        monkeypatch.setattr(module, "_kernels", [kernel])
        folder = tmp_path / str(seed)
        folder.mkdir()
        ours, linux = Files(kernel, VirtualPath("/host"), world), Files(Linux, folder, None)
        for _ in range(STEPS):
            step = rng.randrange(3), rng.choice(_ASKED), rng.randrange(100)
            ours.do(*step)
            linux.do(*step)
            assert ours.said[-1] == linux.said[-1]
            if not isinstance(ours.said[-1][2], tuple):
                answers.add(ours.said[-1][2])
        for who in range(3):
            linux.do(who, "dies", 0)
    assert answers == {"busy", errno.ENOENT, errno.EBADF, True, False, None}


def test_a_process_that_dies_loses_its_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Alone()
    kernel = Kernel(cast("Any", world))
    monkeypatch.setattr(module, "_kernels", [kernel])
    one, two = Member(0), Member(1)
    path = VirtualPath("/host/lock")
    files = []
    for world.process in (one, two):
        files.append(kernel.open(path, FLAGS, 0o600))
    kernel.flock(files[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert kernel.holds(cast("Any", one))
    with pytest.raises(BlockingIOError):
        kernel.flock(files[1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    kernel.end(cast("Any", one))
    kernel.flock(files[1], fcntl.LOCK_EX | fcntl.LOCK_NB)
