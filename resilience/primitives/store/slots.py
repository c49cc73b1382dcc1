"""One slot for each process that counts, alive while its file lock is held.

A process id says nothing across namespaces, and is used again; a lock of an open file description is
freed by the kernel when its holder dies, and kept while it is stopped.
"""

import fcntl
import logging
import os
import struct

# The numbers of Linux, which older Pythons do not name.
_GETLK: int = getattr(fcntl, "F_OFD_GETLK", 36)
_SETLK: int = getattr(fcntl, "F_OFD_SETLK", 37)
log = logging.getLogger("resilience.store")

# struct flock: type, whence, start, length, pid (0 for this kind of lock).
_FLOCK = struct.Struct("hhqqi4x")


class SlotLocks:
    """The locks of all slots: one byte each of the mapped file, which `file` has open."""

    def __init__(self, file: int) -> None:
        self._file = file

    def claim(self, slot: int) -> bool:
        """Take a slot for the life of this process; False if another one has it."""
        try:
            fcntl.fcntl(self._file, _SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, slot, 1, 0))
        except OSError:
            # Taken, or the file is closed: either way it is not ours.
            return False
        return True

    def taken(self, slot: int) -> bool:
        """Say whether *another* process holds the slot."""
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, slot, 1, 0)
        try:
            answer = fcntl.fcntl(self._file, _GETLK, asked)
        except OSError:
            return False
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)

    def close(self) -> None:
        """Give this process's slot back."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def reopen(self) -> None:
        """Open the same file anew in a forked child, which leaves the slot to its parent."""
        shared, self._file = self._file, -1
        try:
            # The path may name another file by now; this is the mapped one for sure.
            self._file = os.open(f"/proc/self/fd/{shared}", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            log.exception("this process counts alone: its slot cannot be had")
        finally:
            os.close(shared)
