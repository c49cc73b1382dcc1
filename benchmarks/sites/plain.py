"""The same app as plain Django and DRF: their engine, no guard, no tier, no middleware of ours."""

from zenow.settings.base import *  # noqa: F403
from zenow.settings.base import DATABASES, MIDDLEWARE

DATABASES["default"]["ENGINE"] = DATABASES["default"]["ENGINE"].replace("resilience.db", "django.db.backends")
MIDDLEWARE = [name for name in MIDDLEWARE if not name.startswith("resilience.")]
ROOT_URLCONF = "benchmarks.sites.urls"
