"""The plan of a drill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to break (`names`) and how, for how many `seconds`, under which reads.

    `delay` is in seconds: how much later an answer comes (latency), or the length of each time down and up
    (flap). `around` is the seconds of reads before the fault, and the least after it.
    """

    names: Sequence[str]
    kind: str
    seconds: float
    share: float = 1.0
    delay: float = 1.0
    url: str
    paths: Sequence[str]
    rate: float = 20.0
    around: float = 10.0
    user: str = ""
    """The user who signs in meanwhile; "" for none."""
