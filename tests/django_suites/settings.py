"""Settings under which Django's `runtests.py` runs; the environment says on which engine."""

import os

_ENGINE = os.environ["SUITE_ENGINE"]
_NAME = os.environ.get("SUITE_NAME", "")
_SERVER = {
    "NAME": _NAME,
    "USER": os.environ.get("SUITE_USER", ""),
    "PASSWORD": os.environ.get("SUITE_PASSWORD", ""),
    "HOST": os.environ.get("SUITE_HOST", ""),
    "PORT": os.environ.get("SUITE_PORT", ""),
}

DATABASES = {
    alias: {
        "ENGINE": _ENGINE,
        **(_SERVER if _NAME else {}),
        "TEST": {"NAME": f"suite_{alias}" if _NAME else None},
    }
    for alias in ("default", "other")
}
SECRET_KEY = "only-for-the-suites-of-django"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "tests.django_suites.runner.RecordingRunner"

# The suites run as a server process, so that every guard is on. But the errors that they provoke must not
# open the breaker, nor statements that take their time meet the deadline of a request.
RESILIENCE = {
    "NAMESPACE": "django-suites",
    "BREAKERS": {"database": {"failure_threshold": 1000, "recovery_timeout": 1.0, "slow_after": 60.0}},
    "DEADLINES": {
        "read": 60.0,
        "connect": 10.0,
        "health_check": 10.0,
        "statement": 50.0,
        "lock": 40.0,
        "commit": 10.0,
    },
}
