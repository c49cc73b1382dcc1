"""Requests that a pool has sent away: each is counted, and shown by the host for a while."""

from __future__ import annotations

from resilience import registry
from resilience.primitives import RejectedError

# For how many seconds after a read was shed the host's health says so.
SHOWN_FOR = 10.0


def note(pool: str, error: RejectedError, *, read: bool) -> None:
    """Count a request that `pool` has sent away by `error`; with `read` it is one that changes nothing."""
    store, now = registry.store(), registry.clock().monotonic()
    read = read and error.busy  # else a breaker opened meanwhile, which health shows
    if store.shed.is_due(pool, now, read=read):
        store.shed.note(pool, now, _totals().get(pool, 0), read=read)
    store.counters.add("shed", pool, "busy" if error.busy else "unavailable")


def reads_lately() -> list[str]:
    """Return the pools that have shed a read in the last 10 s."""
    now = registry.clock().monotonic()
    return [pool for pool, at in registry.store().shed.reads().items() if now - at < SHOWN_FOR]


def in_last_minute() -> dict[str, int]:
    """Return how many requests each pool has shed in the last minute (give or take 5 s), if it has any."""
    totals = _totals()
    before = registry.store().shed.counts_before(registry.clock().monotonic())
    return {pool: totals.get(pool, 0) - count for pool, count in before.items()}


def _totals() -> dict[str, int]:
    """Return how many requests each pool of the host has shed since the store was built."""
    found: dict[str, int] = {}
    for labels, total in registry.store().counters.totals().items():
        if labels[0] == "shed":
            found[labels[1]] = found.get(labels[1], 0) + total
    return found
