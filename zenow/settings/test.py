"""Settings of the test suite: those of production, with databases and caches of its own.

A developer's own variables never affect a test: they are removed before the settings are read.
"""

import os

for _name in (
    "DEBUG",
    "REDIS_URL",
    "RATINGS_URL",
    "OPS_TOKEN",
    "ALERT_WEBHOOK_URL",
    "ADMINS",
    "EMAIL_URL",
    "SERVER_EMAIL",
    "TRUSTED_PROXIES",
    "RESILIENCE_DIR",
    "RESILIENCE_ROLE",
):
    os.environ.pop(_name, None)
os.environ["DATABASE_URL"] = "sqlite://:memory:"
os.environ["SECRET_KEY"] = "only-for-tests-" + "0123456789abcdefghijklmnopqrstuvwxyz" * 2
os.environ["ALLOWED_HOSTS"] = "testserver,localhost,127.0.0.1"

from zenow.settings.base import *  # noqa: E402, F403
from zenow.settings.resilience import RESILIENCE  # noqa: E402

# No collected files are needed to render a page, and one cheap hash is enough for a test's password.
STATIC_ROOT = None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# A steward that a test's request starts lives on in the background, so its chores would disturb later tests.
RESILIENCE["CHORES"] = {}
