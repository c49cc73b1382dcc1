"""The lock for what is seldom: transitions, permits, orders. Nobody waits long for it.

Note [A lock that is not for ever]
A holder that was killed frees the lock at once: the kernel does that. One that was stopped, or sits in a
debugger, keeps it, so a lock that was held for a second is replaced by a new file, and the old one holds
up nobody. A process that comes back with the old one finds out by the path's inode, before and after it
writes.
What it wrote in between is of a lower version than what the others wrote, and lies where they do not
write, so it is put right (see `versioned`). For that a lock counts how often it was replaced: its
`generation`.
"""

import contextlib
import fcntl
import os
import threading
import time
from pathlib import Path
from typing import Protocol

from ..errors import StoreUnavailableError
from .slots import ask_for_slot

# Nobody waits longer than this, in seconds.
LONGEST_WAIT = 0.05
# A lock that was held for so long is replaced.
LONGEST_HOLD = 1.0
_PAUSE = 0.0005
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Lock(Protocol):
    """A lock between those who write; `take` may fail, and what was written counts only while `valid`."""

    def take(self, longest_wait: float = LONGEST_WAIT) -> float | None:
        """Return when it was taken (monotonic seconds), or None if it could not be had in time."""

    def release(self) -> None: ...

    def valid(self) -> bool:
        """Say whether the lock that was taken is still the one that others ask for."""

    @property
    def generation(self) -> int:
        """How often the lock that was taken had been replaced."""

    def forget(self) -> None:
        """Start again in a forked child, where nobody holds it."""


class ThreadLock:
    """The lock between the threads of one process.

    A thread that is interrupted just as it takes or gives back the lock keeps it: no code can rule that out.
    So this one too is replaced when it was held for a second, and a holder that comes back finds out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Guarded by _lock: which thread holds it, and since when.
        self._owner = 0
        self._since = 0.0
        self.generation = 0

    def take(self, longest_wait: float = LONGEST_WAIT) -> float | None:
        if self._lock.acquire(timeout=longest_wait):
            self._since = now = time.monotonic()
            self._owner = threading.get_ident()
            return now
        # Who did not wait may have come between a taking and its time.
        if longest_wait and time.monotonic() - self._since >= LONGEST_HOLD:
            self._lock = threading.Lock()
            self.generation += 1
        return None

    def release(self) -> None:
        if self.valid():
            self._owner = 0
            # Another thread may be replacing it just now.
            with contextlib.suppress(RuntimeError):
                self._lock.release()

    def valid(self) -> bool:
        return self._owner == threading.get_ident()

    def forget(self) -> None:
        self._lock = threading.Lock()


def try_locks(store: Path) -> None:
    """Raise `StoreUnavailableError` where the file system has no locks, as some of the network have not.

    Asked at once: a lock that can never be had looks like one that others hold.
    """
    file = -1
    try:
        file = os.open(store, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
        ask_for_slot(file, 0)
    except BlockingIOError:
        pass  # Somebody has it.
    except OSError as error:
        raise StoreUnavailableError(f"{store.parent} cannot be used, for want of locks: {error}") from error
    finally:
        if file >= 0:
            os.close(file)


class HostLock:
    """The lock between the processes of a host: an advisory lock on a file of its own.

    `times[held]` is where all processes see since when it is held.
    """

    def __init__(self, path: Path, times: "memoryview[float]", held: int) -> None:
        self._path = path
        self._times = times
        self._held = held
        self._threads = ThreadLock()
        # Guarded by _threads: the file that is open, its inode and size, and when the lock was taken.
        self._file = -1
        self._inode = -1
        self._size = 0
        self._since = 0.0

    def take(self, longest_wait: float = LONGEST_WAIT) -> float | None:
        """Return when it was taken (monotonic seconds), or None if it could not be had in time."""
        deadline = time.monotonic() + longest_wait
        if self._threads.take(longest_wait) is None:
            return None
        taken = None
        try:
            taken = self._take_locked(deadline)
        except OSError:
            # The folder is gone, or may not be written to; the store finds out and says so.
            self._close_locked()
        except BaseException:
            # An interrupt; the file may be locked already.
            self._close_locked()
            raise
        finally:
            if taken is None:
                self._threads.release()
        return taken

    def _take_locked(self, deadline: float) -> float | None:
        while True:
            self._open_locked()
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                now = time.monotonic()
                held_for = self._held_for(now)
                if held_for >= LONGEST_HOLD:
                    self._replace_locked()
                elif now >= deadline or held_for >= LONGEST_WAIT:
                    return None
                else:
                    time.sleep(_PAUSE)
                continue
            # Read before the look: a lock that replaces this one after the look is taken later.
            now = time.monotonic()
            if self.valid():
                self._times[self._held] = self._since = now
                return now
            self._close_locked()

    def _held_for(self, now: float) -> float:
        since = self._times[self._held]
        if 0 < since <= now:
            return now - since
        # Its holder was stopped, or is about to say so: count from here.
        self._times[self._held] = now
        return 0.0

    def _open_locked(self) -> None:
        if self._file < 0:
            self._file = os.open(self._path, _FLAGS, 0o600)
            found = os.fstat(self._file)
            self._inode, self._size = found.st_ino, found.st_size

    def _replace_locked(self) -> None:
        # See Note [A lock that is not for ever].
        if self.valid():
            aside = self._path.with_name(f"{self._path.name}.{os.getpid()}.{threading.get_ident()}")
            file = os.open(aside, _FLAGS, 0o600)
            try:
                # The size counts how often it was replaced; a hole takes no room.
                os.ftruncate(file, self._size + 1)
            finally:
                os.close(file)
            # The time stays: without it, the second would start again if this process were killed here.
            aside.rename(self._path)
        self._close_locked()

    def _close_locked(self) -> None:
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.close(self._file)
        self._file = self._inode = -1

    @property
    def generation(self) -> int:
        """How often the lock that was taken had been replaced, among processes and in this one."""
        return self._size + self._threads.generation

    def valid(self) -> bool:
        """Say whether the lock that was taken is still the one that others ask for."""
        if not self._threads.valid():
            return False
        try:
            return self._path.stat(follow_symlinks=False).st_ino == self._inode
        except OSError:
            return False

    def release(self) -> None:
        try:
            # Whose lock was replaced leaves the time of its successor alone.
            if self._times[self._held] == self._since:
                self._times[self._held] = 0.0
            if self._file >= 0:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        except BaseException:
            self._close_locked()
            raise
        finally:
            self._threads.release()

    def forget(self) -> None:
        """Close the file in a forked child: it shares the parent's lock through it."""
        self._threads.forget()
        self._close_locked()
