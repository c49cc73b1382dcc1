"""Who goes on at which step: a schedule, as it is searched, written down and read back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

LETTERS = "abc"


class Kind(StrEnum):
    """What befalls a process before its step, as it is written."""

    YIELDS = ">"
    """Another one goes on; this one is ready, and goes on as soon as the other one waits."""
    STOPS = "="
    """The same, but it is stopped: it goes on only when it is chosen, or nobody else is left."""
    DIES = "!"
    """It is killed."""


class Turn(NamedTuple):
    """Before step `at` something befalls the process whose step it is, and process `to` goes on."""

    at: int
    kind: Kind
    to: int

    def __str__(self) -> str:
        return f"{self.at}{self.kind}{LETTERS[self.to]}"


class Schedule(NamedTuple):
    """Which process begins, and each turn that is not as a matter of course."""

    first: int = 0
    turns: tuple[Turn, ...] = ()

    def __str__(self) -> str:
        return " ".join([LETTERS[self.first], *map(str, self.turns)])


@dataclass(frozen=True)
class Bounds:
    """How often, at most, one process makes way for another before it must.

    `stops` of these times it is stopped while it holds a lock; and beside them up to `deaths` processes die.
    """

    turns: int
    deaths: int = 0
    stops: int = 0

    def __str__(self) -> str:
        parts = [f"≤ {self.turns} preemptions"]
        parts += [f"≤ {self.stops} of them a stop"] * bool(self.stops)
        parts += [f"≤ {self.deaths} deaths"] * bool(self.deaths)
        return ", ".join(parts)


def parse(text: str) -> Schedule:
    """Read what a schedule looks like in text; raise `ValueError` for anything else."""
    first, *turns = text.split() or [""]
    found = [re.fullmatch(r"(\d+)([>=!])([abc])", turn) for turn in turns]
    if len(first) != 1 or first not in LETTERS or None in found:
        raise ValueError(f"not a schedule such as 'a 17>b 30=a 41!b': {text!r}")
    return Schedule(LETTERS.index(first), tuple(_turns(match.groups() for match in found if match)))


def _turns(found: Iterable[tuple[str, ...]]) -> Iterable[Turn]:
    for at, kind, to in found:
        yield Turn(int(at), Kind(kind), LETTERS.index(to))
