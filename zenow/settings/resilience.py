"""The settings that differ from `resilience/defaults.py`. Durations are in seconds."""

import os
from typing import Any

from resilience.defaults import CHORES

RESILIENCE: dict[str, Any] = {
    "NAMESPACE": "zenow",
    "FALLBACK": "learn.fallback.EXPORT",  # the content of the static copy
    "METRICS_PATH": "/metrics",
    # The paths that `manage.py drill` reads in turn; {n} is a number from 1 to 60.
    "DRILL_PATHS": [
        "/api/courses",
        "/api/courses?page={n}",
        "/api/courses?search=jazz",
        "/api/courses?search=history&ordering=-title&page_size={n}",
        "/api/fields",
        "/api/categories",
    ],
    # Where `manage.py drill --user` signs in: a username and a password, then a refresh_token, as JSON.
    "DRILL_SIGN_IN": {"sign_in": "/api/auth/token", "refresh": "/api/auth/token/refresh"},
    "CHORES": CHORES
    | {"refresh_tokens": {"run": "zenow.accounts.pruning.run", "every": 3600.0, "limit": 60.0}},
    # What Slack calls an incoming webhook.
    "ALERTS": {"webhook_url": os.environ.get("ALERT_WEBHOOK_URL", "")},
}
