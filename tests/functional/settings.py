"""Production's settings with open intervals that a test can wait for."""

import os

from resilience.defaults import BREAKERS, BULKHEADS
from zenow.settings.base import *  # noqa: F403
from zenow.settings.resilience import RESILIENCE

# The real figures, `make outages`, are those of the settings.
if OPEN_FOR := os.environ.get("OUTAGE_OPEN_FOR"):
    RESILIENCE["BREAKERS"] = {
        name: entry | {"recovery_timeout": float(OPEN_FOR)}
        for name, entry in RESILIENCE.get("BREAKERS", BREAKERS).items()
    }

# A place is waited for, for as long as a read has.
if os.environ.get("WAITING_POOLS"):
    _WAITING = {"running": 5, "waiting": 15, "max_wait": 1.0}
    RESILIENCE["BULKHEADS"] = RESILIENCE.get("BULKHEADS", BULKHEADS) | {"read": _WAITING, "write": _WAITING}
