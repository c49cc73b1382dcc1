"""Harm that a process does to itself between two lines of the code under test.

A signal from outside hits a process almost always while it sleeps or calls; the few lines between two words
of one record are hit by chance once in a million. So a worker is told to die, to stop or to raise after the
n-th line that it runs inside the primitives, wherever that is.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import resilience.primitives
from tests.chaos.board import Board
from tests.chaos.journal import Journal, Kind

_HOME = str(Path(resilience.primitives.__file__).parent)
# How often a call is struck, and how often whoever has just got the lock between processes.
_CHANCE = 0.01
_CHANCE_HOLDING = 0.25
# The lines that a call runs through, and those while the lock is held, about: strikes fall evenly on them.
_LINES = 100
_LINES_HOLDING = 60
_KINDS = (Kind.DIES, Kind.STOPS, Kind.RAISES)


class StrikeError(BaseException):
    """Raised at a random moment, as an interrupt is."""


class Strikes:
    """Strike one thread: within `armed`, and after `taken`, by chance, after so many lines of the code."""

    def __init__(self, journal: Journal, rng: random.Random, board: Board, life: int) -> None:
        self._journal = journal
        self._rng = rng
        self._board = board
        self._life = life
        self._left = 0
        self.holding = False

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Strike in the block, or not at all."""
        if self._rng.random() < _CHANCE and not self._board.calm:
            self._left = self._rng.randrange(_LINES)
            sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(None)

    def taken(self) -> None:
        """Strike whoever holds the lock from here on, or has just given it back."""
        self.holding = True
        if self._rng.random() < _CHANCE_HOLDING and not self._board.calm:
            self._left = self._rng.randrange(_LINES_HOLDING)
            frame: FrameType | None = sys._getframe(1)
            while frame is not None:
                if frame.f_code.co_filename.startswith(_HOME):
                    frame.f_trace = self._trace_lines
                frame = frame.f_back
            sys.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._trace_lines if frame.f_code.co_filename.startswith(_HOME) else None

    def _trace_lines(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self._left -= 1
            if self._left < 0:
                sys.settrace(None)
                self._strike(frame)
        return self._trace_lines

    def _strike(self, frame: FrameType) -> None:
        kind = self._rng.choices(_KINDS, (0.7, 0.15, 0.15))[0]
        self._journal.write(kind, m=place_number(frame.f_code.co_filename, frame.f_lineno), n=self.holding)
        if kind is Kind.RAISES:
            raise StrikeError
        if kind is Kind.STOPS:
            self._board.count_stop(self._life)
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            os.kill(os.getpid(), signal.SIGKILL)


def _sources() -> list[str]:
    return sorted(str(path) for path in Path(_HOME).rglob("*.py"))


_SOURCES = _sources()


def place_number(file: str, line: int) -> int:
    """Pack a place in the code into one number."""
    return _SOURCES.index(file) * 10_000 + line


def place_name(number: int) -> str:
    """Unpack it again, for people."""
    return f"{Path(_SOURCES[number // 10_000]).relative_to(_HOME)}:{number % 10_000}"
