"""What the pools of a process need in threads and connections, and sizes that fit into what there is.

`docs/capacity.md` says how the numbers belong together, and has a table that is made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from resilience.primitives import BulkheadConfig

Pools = Mapping[str, BulkheadConfig]

BESIDE = 3
"""The most connections of a process beside those of its places: the steward's ping, a chore, and an inquiry
about a silent connection."""

# Of the sizes that there are, the largest first.
_SHARES = [percent / 100 for percent in range(100, -1, -1)]


def places(pools: Pools) -> int:
    """Return how many calls run at once in a process."""
    return sum(pool.running for pool in pools.values())


def threads(pools: Pools) -> int:
    """Return how many threads a process needs: for all who run and wait, and one that stays free."""
    return sum(pool.running + pool.waiting for pool in pools.values()) + 1


def connections(pools: Pools, workers: int) -> int:
    """Return how many connections the processes of a host may open to one database server."""
    return workers * (places(pools) + BESIDE)


def workers(pools: Pools, most: int) -> int:
    """Return how many processes fit into `most` connections."""
    return most // (places(pools) + BESIDE)


def within_threads(pools: Pools, most: int) -> dict[str, BulkheadConfig]:
    """Return pools that need at most so many threads, in about the same proportions; none if none fit."""
    for share in _SHARES:
        smaller = {
            name: replace(pool, running=_least_one(pool.running * share), waiting=round(pool.waiting * share))
            for name, pool in pools.items()
        }
        if threads(smaller) <= most:
            return smaller
    return {}


def within_connections(pools: Pools, workers: int, most: int) -> dict[str, BulkheadConfig]:
    """Return pools of which so many processes open at most `most` connections; none if none fit.

    Calls that may no longer run may wait, so a process needs as many threads as before.
    """
    for share in _SHARES:
        running = {name: _least_one(pool.running * share) for name, pool in pools.items()}
        smaller = {
            name: replace(pool, running=running[name], waiting=pool.waiting + pool.running - running[name])
            for name, pool in pools.items()
        }
        if connections(smaller, workers) <= most:
            return smaller
    return {}


def _least_one(size: float) -> int:
    return max(1, round(size))


def in_words(pools: Pools) -> str:
    """Return sizes as people read them: `read 20 + 50` is 20 that run and 50 that wait."""
    return ", ".join(f"{name} {pool.running} + {pool.waiting}" for name, pool in pools.items())
