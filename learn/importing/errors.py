"""What can go wrong: with the file as a whole, or with one row of it."""

from __future__ import annotations

from typing import Literal, NamedTuple


class UnreadableError(Exception):
    """Nothing of a file can be read; the message says what to do about it."""


class Rejection(NamedTuple):
    """A row, or one value of it, that was not stored.

    `line` is where the row begins (from 1), `column` the one at fault. `costs` says what was left out.
    """

    line: int
    column: str
    reason: str
    costs: Literal["row", "value"] = "row"
