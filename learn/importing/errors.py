"""What can go wrong: with the file as a whole, or with one row of it."""

from __future__ import annotations

from typing import NamedTuple


class UnreadableError(Exception):
    """Nothing of a file can be read; the message says what to do about it."""


class Rejection(NamedTuple):
    """A row that was not stored: the line where it begins (from 1), the column at fault, and the reason."""

    line: int
    column: str
    reason: str
