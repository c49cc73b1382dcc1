"""Production's settings with open intervals that a test can wait for."""

import os

from resilience.defaults import BREAKERS
from zenow.settings.base import *  # noqa: F403
from zenow.settings.resilience import RESILIENCE

# The real figures, `make outages`, are those of the settings.
if OPEN_FOR := os.environ.get("OUTAGE_OPEN_FOR"):
    RESILIENCE["BREAKERS"] = {
        name: entry | {"recovery_timeout": float(OPEN_FOR)}
        for name, entry in RESILIENCE.get("BREAKERS", BREAKERS).items()
    }
