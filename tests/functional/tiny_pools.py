"""Settings of a site that is busy with one reader."""

from resilience.defaults import BULKHEADS
from tests.functional.settings import *  # noqa: F403
from zenow.settings.resilience import RESILIENCE

RESILIENCE["BULKHEADS"] = BULKHEADS | {"read": {"running": 1, "waiting": 0, "max_wait": 0.1}}
