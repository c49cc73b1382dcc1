"""Production's settings, in which drills may be held."""

from zenow.settings.base import *  # noqa: F403
from zenow.settings.resilience import RESILIENCE

RESILIENCE["DRILLS"] = True
