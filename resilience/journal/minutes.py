"""Each minute the steward writes the store's counters into the journal."""

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
# The counters that the history shows. The others (chores, drills) would only fill the table.
KEPT = ("responses", "calls", "rejected", "shed", "transitions", "dropped")
# The most counters in one line of the journal.
_PER_LINE = 400


def run(_epoch: int) -> None:
    """Write each counter that has grown since its last writing into the journal, as [name, before, total].

    Two stewards may write the same minute, if one of them was stopped in the middle. Differences alone would
    then be counted twice; totals are not (`Minute` says how a span is summed).
    """
    store = registry.store()
    identity = store_identity(store)
    known = recall("totals")
    # A store that was built since then began to count at 0.
    before: dict[str, Any] = known.get("totals", {}) if known.get("store") == identity else {}
    totals = counted(store)
    grown = [
        [name, before.get(name, 0), total] for name, total in totals.items() if total > before.get(name, 0)
    ]
    for at in range(0, len(grown), _PER_LINE):
        if not events.write({"kind": KIND, "store": identity, "counters": grown[at : at + _PER_LINE]}):
            return  # dropped: the next run writes the growth since the last line that was written
    remember("totals", {"store": identity, "totals": totals, "at": time.time()})


def counted(store: Store) -> dict[str, int]:
    """Return the host's counters in `KEPT` by name: those of the store and those of the breakers."""
    counters = store.counters.totals().items()
    totals = {"|".join(labels): total for labels, total in counters if labels[0] in KEPT}
    for name, breaker in registry.breakers().items():
        totals[f"calls|{name}|call|success"] = breaker.calls().get(("call", "success"), 0)
        totals[f"rejected|{name}"] = breaker.snapshot().rejected
    return totals


def store_identity(store: Store) -> str:
    """Return a name of this store: a hash of its secret, which is new each time a store is built."""
    secret = bytes(store.bytes[SECRET * WORD : SECRET * WORD + SECRET_BYTES])
    return hashlib.blake2b(secret, digest_size=8, person=b"minutes").hexdigest()
