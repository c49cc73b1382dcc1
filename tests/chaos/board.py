"""What the storm tells its workers, in memory that they all see; no lock, each cell has one writer."""

from __future__ import annotations

import mmap

LIVES = 16_384
_FINISH, _DOWN, _CALM, _CLOSED = range(4)
_PULSE = 4
_STOPS = _PULSE + LIVES


class Board:
    """Hold switches for all, and for each life (a worker's number in the order of starts) two counts."""

    def __init__(self) -> None:
        self._cells = memoryview(mmap.mmap(-1, 8 * (_STOPS + LIVES))).cast("q")

    @property
    def finish(self) -> bool:
        return self._cells[_FINISH] != 0

    @finish.setter
    def finish(self, value: bool) -> None:
        self._cells[_FINISH] = value

    @property
    def down(self) -> bool:
        """Whether the dependency fails."""
        return self._cells[_DOWN] != 0

    @down.setter
    def down(self, value: bool) -> None:
        self._cells[_DOWN] = value

    @property
    def calm(self) -> bool:
        """Whether workers harm themselves no more."""
        return self._cells[_CALM] != 0

    @calm.setter
    def calm(self, value: bool) -> None:
        self._cells[_CALM] = value

    @property
    def closed(self) -> bool:
        """Whether the observer sees the breaker closed."""
        return self._cells[_CLOSED] != 0

    @closed.setter
    def closed(self, value: bool) -> None:
        self._cells[_CLOSED] = value

    def pulse(self, life: int) -> int:
        """How many turns a worker has made."""
        return self._cells[_PULSE + life]

    def beat(self, life: int) -> None:
        self._cells[_PULSE + life] += 1

    def stops(self, life: int) -> int:
        """Grows with each stop, and before each waking: who sees it grow has slept meanwhile."""
        return self._cells[_STOPS + life]

    def count_stop(self, life: int) -> None:
        self._cells[_STOPS + life] += 1
