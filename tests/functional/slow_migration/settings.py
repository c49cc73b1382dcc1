"""The outages' settings, with a statement of a server ended after a second."""

from tests.functional.settings import *  # noqa: F403
from tests.functional.settings import INSTALLED_APPS
from zenow.settings.resilience import RESILIENCE

INSTALLED_APPS = [*INSTALLED_APPS, "tests.functional.slow_migration"]
RESILIENCE["DEADLINES"] = {"statement": 1.0, "lock": 0.8}
