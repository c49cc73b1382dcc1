"""Signs of life: counts in memory that the workers of a server write and their supervisor reads.

A worker counts its answers, and the beats of a thread that does nothing else. Beats show that the process
runs Python code; answers show that requests are served.
"""

import mmap
import os
import sys
from typing import Self

_WORD = 8
_ANSWERS, _BEATS, _WORDS = 0, 1, 2


class Signs:
    """The counts of all workers of one server, in an unnamed file with the descriptor `descriptor`."""

    def __init__(self, descriptor: int) -> None:
        """Map a file that `create` has made, in this process or in its parent."""
        self.descriptor = descriptor
        self._counts = memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size)).cast("Q")

    @classmethod
    def create(cls, workers: int) -> Self | None:
        """Return memory for this number of workers; None on other systems than Linux."""
        if sys.platform != "linux":
            return None
        descriptor = os.memfd_create("zenow-signs")
        os.truncate(descriptor, workers * _WORDS * _WORD)
        return cls(descriptor)

    def answered(self, worker: int) -> None:
        """Count an answer of that worker."""
        # Threads may overwrite each other's count. It only matters that the count changes.
        self._counts[worker * _WORDS + _ANSWERS] += 1

    def beat(self, worker: int) -> None:
        """Count a beat of that worker."""
        self._counts[worker * _WORDS + _BEATS] += 1

    def answers(self, worker: int) -> int:
        """Return the number of its answers."""
        return self._counts[worker * _WORDS + _ANSWERS]

    def beats(self, worker: int) -> int:
        """Return the number of its beats; 0 for old code that has none."""
        return self._counts[worker * _WORDS + _BEATS]

    def close(self) -> None:
        """Close it here; processes that inherited it keep it."""
        self._counts.release()
        os.close(self.descriptor)
