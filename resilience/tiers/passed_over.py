"""Why a tier was passed over: each time is counted, each cause is logged once."""

from __future__ import annotations

import logging
import os

from resilience import causes, registry
from resilience.db import outages
from resilience.primitives import BulkheadFullError, ResilienceError, TierUnavailableError
from resilience.request import shed

logger = logging.getLogger("resilience.tiers")

# All reasons. `unavailable`: it is down, silent or damaged, or its breaker refuses. `busy`:
# the pool is full, or others hold a lock. `missing`: it has no such answer. `stale`: what it has is too old.
REASONS = ("unavailable", "busy", "missing", "stale")

# Seconds after which a cause that comes back is logged again.
_OVER_AFTER = 60.0

_met: dict[tuple[str, str, str], float] = {}


def reason_of(error: Exception) -> str | None:
    """Return the reason for which an error lets the next tier try; None if the error itself is the answer."""
    if isinstance(error, TierUnavailableError):
        return error.reason
    if not isinstance(error, ResilienceError) and not outages.is_outage(error):
        return None
    return outages.reason_of(error)


def note(tier: str, reason: str, why: Exception | str) -> None:
    """Count that a tier was passed over, and log it if this process has not met the cause lately."""
    registry.store().counters.add("tier_passed", tier, reason)
    if isinstance(why, BulkheadFullError):
        shed.note(why.name, why, read=True)
    cause = (tier, reason, why if isinstance(why, str) else type(why).__name__)
    now = registry.clock().monotonic()
    before, _met[cause] = _met.get(cause), now
    if before is None or now - before > _OVER_AFTER:
        said = why if isinstance(why, str) else causes.describe(why)
        logger.warning("the tier %s is passed over (%s): %s", tier, reason, said)


def forget() -> None:
    """Forget which causes this process has logged."""
    _met.clear()


os.register_at_fork(after_in_child=forget)
