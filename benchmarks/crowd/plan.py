"""How long the parts of the benchmark take, and what they say meanwhile."""

from __future__ import annotations

import sys
from dataclasses import dataclass

# Seconds that each query of the courses sleeps.
DELAYS = (0.0, 0.02, 0.3)


@dataclass(frozen=True)
class Plan:
    """Rounds of a comparison, seconds of each of its runs, and tries of each outage."""

    rounds: int
    seconds: float
    outages: int
    capacity_seconds: float = 30.0


def shown(delay: float) -> str:
    """Return seconds as a cell, in ms."""
    return f"{1000 * delay:.0f} ms"


def tell(line: str) -> None:
    """Say on standard error what is going on."""
    print(f"    {line}", file=sys.stderr, flush=True)
