"""What happened in a storm, written by every process as it happens and read when it is over.

A line is one `write` to a file that is only appended to, so what a killed process wrote is there, whole.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

_LINE = struct.Struct("<IIdddqq")


class Kind(IntEnum):
    """What a line says; in brackets what its fields `x`, `y`, `m`, `n` hold. Times are monotonic seconds."""

    CALL = 1
    """A call begins (x: before it asked for admission, y: end of its permit or 0, m: generation)."""
    END = 2
    """The call has ended (m: 1 when it failed)."""
    SETTLED = 3
    """Its result was taken (x: when the call had ended, m: generation, n: 1 when it failed)."""
    REFUSED = 4
    """No admission (x: before it asked)."""
    WAITED = 5
    """A lock was asked for (x: seconds, y: those for which it could run, m: had, n: stopped meanwhile)."""
    DIES = 6
    """Kills itself next (m: where, n: 1 while it held the lock)."""
    STOPS = 7
    """Stops itself next (m, n: as above)."""
    RAISES = 8
    """Raises an exception next (m, n: as above)."""
    KILLED = 9
    """Is killed from outside next (m: 1 while stopped)."""
    STOPPED = 10
    """Is stopped from outside next."""
    CONTINUED = 11
    """Is continued next."""
    DOWN = 12
    """The dependency fails from here on (m: 1) or works (m: 0)."""
    RECORD = 13
    """A new record is seen (x: since, y: until, m: generation, n: state's place in State)."""
    COUNTS = 14
    """The counters went back (m: from, n: to)."""
    CRASHED = 15
    """A process ended with an error of its own."""


class Line(NamedTuple):
    kind: Kind
    who: int
    at: float
    x: float
    y: float
    m: int
    n: int


class Journal:
    """Append lines on behalf of one process, known by its number in the order of starts."""

    def __init__(self, path: Path, who: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._who = who

    def write(
        self,
        kind: Kind,
        *,
        x: float = 0.0,
        y: float = 0.0,
        m: int = 0,
        n: int = 0,
        at: float | None = None,
        who: int | None = None,
    ) -> float:
        """Write a line and return its time, by default now."""
        now = time.monotonic() if at is None else at
        os.write(self._file, _LINE.pack(kind, self._who if who is None else who, now, x, y, m, n))
        return now


def read(path: Path) -> Iterator[Line]:
    """Yield the lines in the order in which they were written."""
    for kind, *rest in _LINE.iter_unpack(path.read_bytes()):
        yield Line(Kind(kind), *rest)
