"""A step of what a project lacks: the lines, their place, their reason, and the edits that write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resilience.adopting.source import Edit, NoPlaceError, Source

Find = Callable[[], list[Edit]]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to add to a file. `edits` write it; without them it has to be added by hand, and `why_not`
    says why."""

    source: Source
    where: str
    lines: str
    reason: str
    edits: tuple[Edit, ...] = ()
    why_not: str = ""


def step(source: Source, where: str, lines: str, reason: str, find: Find, *, by_hand: str = "") -> Step:
    """Return a step whose edits `find` returns. `by_hand` are the lines for the end of the file instead."""
    try:
        return Step(source=source, where=where, lines=lines, reason=reason, edits=tuple(find()))
    except NoPlaceError as error:
        where, lines = (f"{where}, so at the end of the file", by_hand) if by_hand else (where, lines)
        return Step(source=source, where=where, lines=lines, reason=reason, why_not=str(error))
