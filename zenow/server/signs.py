"""Signs of life: memory in which the workers of a server count, and which their supervisor reads.

A worker counts its answers, and the beats of a thread that does nothing else. Beats tell that the process
runs and that Python code gets its turn; answers tell that requests do.
"""

import mmap
import os
import sys
from typing import Self

_WORD = 8
_ANSWERS, _BEATS, _WORDS = 0, 1, 2


class Signs:
    """The counts of all workers of one server, in a file without a name that `descriptor` stands for."""

    def __init__(self, descriptor: int) -> None:
        """Map what `create` has made, here or in the process that this one inherited it from."""
        self.descriptor = descriptor
        self._counts = memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size)).cast("Q")

    @classmethod
    def create(cls, workers: int) -> Self | None:
        """Return memory for this number of workers; None where the system has none to inherit (not Linux)."""
        if sys.platform != "linux":
            return None
        descriptor = os.memfd_create("zenow-signs")
        os.truncate(descriptor, workers * _WORDS * _WORD)
        return cls(descriptor)

    def answered(self, worker: int) -> None:
        """Count an answer of that worker."""
        # Threads may overwrite each other's count; that it is another one than before is all that matters.
        self._counts[worker * _WORDS + _ANSWERS] += 1

    def beat(self, worker: int) -> None:
        """Count a beat of that worker."""
        self._counts[worker * _WORDS + _BEATS] += 1

    def answers(self, worker: int) -> int:
        """Return how often it has answered."""
        return self._counts[worker * _WORDS + _ANSWERS]

    def beats(self, worker: int) -> int:
        """Return how often it has beaten; 0 for code of before there were beats."""
        return self._counts[worker * _WORDS + _BEATS]

    def close(self) -> None:
        """Let go of it; processes that inherited it still have it."""
        self._counts.release()
        os.close(self.descriptor)
