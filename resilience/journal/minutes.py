"""The minute's counters: what the store has counted, written into the journal by the steward."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from resilience import registry
from resilience.journal import events
from resilience.journal.notes import recall, remember
from resilience.primitives import Store
from resilience.primitives.store.layout import SECRET, SECRET_BYTES, WORD

KIND = "minute"
# What the history is made of; what else is counted (chores, drills) would only fill the table.
KEPT = ("responses", "calls", "rejected", "transitions", "dropped")
# So many counters stand in one line.
_PER_LINE = 400


def run(_epoch: int) -> None:
    """Write down each counter that has grown since it was last written down, as [name, before, total].

    Totals and not differences alone: two stewards that write down the same minute, one of which was stopped
    in the middle, count nothing twice (`Minute` says how a span is summed).
    """
    store = registry.store()
    identity = store_identity(store)
    known = recall("totals")
    # A store that was built since has counted from nothing.
    before: dict[str, Any] = known.get("totals", {}) if known.get("store") == identity else {}
    totals = counted(store)
    grown = [
        [name, before.get(name, 0), total] for name, total in totals.items() if total > before.get(name, 0)
    ]
    for at in range(0, len(grown), _PER_LINE):
        if not events.write({"kind": KIND, "store": identity, "counters": grown[at : at + _PER_LINE]}):
            return  # The journal takes no more; the next line will reach back to the last one written.
    remember("totals", {"store": identity, "totals": totals, "at": time.time()})


def counted(store: Store) -> dict[str, int]:
    """Return the counters of the host that are kept, by name, those too that the breakers keep themselves."""
    counters = store.counters.totals().items()
    totals = {"|".join(labels): total for labels, total in counters if labels[0] in KEPT}
    for name, breaker in registry.breakers().items():
        totals[f"calls|{name}|call|success"] = breaker.calls().get(("call", "success"), 0)
        totals[f"rejected|{name}"] = breaker.snapshot().rejected
    return totals


def store_identity(store: Store) -> str:
    """Return what tells one building of a store from the next: a hash of its secret."""
    secret = bytes(store.bytes[SECRET * WORD : SECRET * WORD + SECRET_BYTES])
    return hashlib.blake2b(secret, digest_size=8, person=b"minutes").hexdigest()
