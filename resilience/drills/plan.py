"""What a drill is to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is broken (`names`) and how, for how long (`seconds`), under which reads.

    `delay` is how much later an answer comes (latency), or how long it is down and up in turn (flap);
    `around` the seconds of reads before, and at least after, the fault.
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
    """Who signs in meanwhile; nobody does when it is empty."""
