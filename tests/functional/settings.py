"""Production's settings with open intervals that a test can wait for."""

import os

from zenow.settings.base import *  # noqa: F403
from zenow.settings.resilience import RESILIENCE

# The real figures, `make outages`, are those of the settings.
if OPEN_FOR := os.environ.get("OUTAGE_OPEN_FOR"):
    for _breaker in RESILIENCE["BREAKERS"].values():
        _breaker["recovery_timeout"] = float(OPEN_FOR)

# A place is waited for, for as long as a read has.
if os.environ.get("WAITING_POOLS"):
    for _pool in ("read", "write"):
        RESILIENCE["BULKHEADS"][_pool] |= {"running": 5, "waiting": 15, "max_wait": 1.0}
