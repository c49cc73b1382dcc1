"""One slot for each process that counts, alive while its file lock is held.

A process id says nothing across namespaces, and is used again; a lock of an open file description is
freed by the kernel when its holder dies, and kept while it is stopped.
"""

import fcntl
import os
import struct
from pathlib import Path

# The numbers of Linux, which older Pythons do not name.
_GETLK: int = getattr(fcntl, "F_OFD_GETLK", 36)
_SETLK: int = getattr(fcntl, "F_OFD_SETLK", 37)
# struct flock: type, whence, start, length, pid (0 for this kind of lock).
_FLOCK = struct.Struct("hhqqi4x")


def ask_for_slot(file: int, slot: int) -> bool:
    """Say whether *another* process holds a slot; raise `OSError` where the file system has no locks."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, slot, 1, 0)
    answer = fcntl.fcntl(file, _GETLK, asked)
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


class SlotLocks:
    """The locks of all slots: one byte each of the mapped file.

    It is opened once more for them: a mapping keeps the file that it was made of open, in forked children
    too, and with it the lock of a parent that is long dead.
    """

    def __init__(self, path: Path, inode: int) -> None:
        self._path = path
        self._inode = inode
        self._file = self._open()

    def _open(self) -> int:
        """Open the file; -1 if the path names another one by now, which `HostStore.refresh` finds out."""
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return -1
        if os.fstat(file).st_ino == self._inode:
            return file
        os.close(file)
        return -1

    def claim(self, slot: int) -> bool:
        """Take a slot for the life of this process; False if another one has it."""
        if self._file < 0:
            return False
        try:
            fcntl.fcntl(self._file, _SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, slot, 1, 0))
        except OSError:
            return False
        return True

    def taken(self, slot: int) -> bool:
        """Say whether *another* process holds the slot; while that cannot be asked, it does."""
        if self._file < 0:
            return True
        return ask_for_slot(self._file, slot)

    def close(self) -> None:
        """Give this process's slot back."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def reopen(self) -> None:
        """Leave the slot to the parent, in a forked child."""
        self.close()
        self._file = self._open()
