"""What can go wrong: with the file as a whole, or with one row of it."""

from __future__ import annotations

from typing import NamedTuple


class UnreadableError(Exception):
    """Say that nothing of a file could be read, and what to do about it."""


class Rejection(NamedTuple):
    """Name the place of a row that was not stored, and why. `line` is where the row begins, from 1."""

    line: int
    column: str
    reason: str
