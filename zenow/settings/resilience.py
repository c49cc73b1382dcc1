"""Every guard, window, pool and tier on one screen; `resilience.conf` reads it. Durations in seconds."""

import os
from typing import Any

RESILIENCE: dict[str, Any] = {
    "NAMESPACE": "zenow",
    "FALLBACK": "learn.fallback.EXPORT",  # what the static tier holds
    "METRICS_PATH": "/metrics",
    # What `manage.py drill` reads, in turn; {n} is a number from 1 to 60: much of it is not known yet.
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
    # "classify" judges exceptions; "ping" asks all the time, "probe" once the open time is over, both by the
    # steward, off the way of requests. A probe that is not back within "permit_timeout" is given up.
    "BREAKERS": {
        "database": {
            "failure_threshold": 3,
            "recovery_timeout": 15.0,
            "window": 30.0,
            "minimum_volume": 5,
            "slow_after": 1.0,
            "permit_timeout": 2.0,
            "classify": "resilience.db.failures.classify",
            "ping": "resilience.db.probe.probe",
        },
        "cache": {
            "failure_threshold": 5,
            "recovery_timeout": 10.0,
            "window": 60.0,
            "minimum_volume": 10,
            "slow_after": 0.2,
            "permit_timeout": 2.0,
            "classify": "resilience.cache.failures.classify",
            "ping": "resilience.cache.probe.ping",
        },
        "auth": {
            "failure_threshold": 3,
            "recovery_timeout": 20.0,
            "window": 30.0,
            "minimum_volume": 5,
            "slow_after": 1.5,
            "permit_timeout": 2.0,
            "classify": "resilience.auth.classify",
            "probe": "resilience.auth.probe",
        },
        "external_api": {
            "failure_threshold": 5,
            "recovery_timeout": 30.0,
            "window": 60.0,
            "minimum_volume": 5,
            "slow_after": 2.0,
            "permit_timeout": 4.0,
            "classify": "resilience.http.classify",
        },
    },
    # Per process. All that run or wait together stay below WEB_THREADS: one thread always answers health.
    "BULKHEADS": {
        "read": {"running": 5, "waiting": 1, "max_wait": 0.1},
        "write": {"running": 2, "waiting": 1, "max_wait": 0.1},
        "auth": {"running": 1, "waiting": 1, "max_wait": 0.1},
        "external": {"running": 1, "waiting": 0, "max_wait": 0.1},
        "other": {"running": 2, "waiting": 1, "max_wait": 0.1},
    },
    # The client's budgets, and just below them the limits that a live server keeps by itself.
    "DEADLINES": {
        "read": 2.0,
        "write": 2.0,
        "connect": 0.5,
        "health_check": 0.5,
        "statement": 1.7,
        "lock": 1.5,
        "commit": 1.0,
        "cache": 0.25,
        "http_connect": 1.0,
        "http_total": 1.5,  # below a read's budget: a silent partner has had its full time, and has failed
        "probe": 0.5,
    },
    # What the steward does for the host beside watching: start to start, and what one run may take.
    "CHORES": {
        "idempotency": {"run": "resilience.answers.idempotency.prune", "every": 600.0, "limit": 60.0},
        "refresh_tokens": {"run": "zenow.accounts.pruning.run", "every": 3600.0, "limit": 60.0},
        "static": {"run": "resilience.tiers.static_copy.keeping.run", "every": 2.0},
        "generation": {"run": "resilience.tiers.generation.refresh", "every": 5.0, "limit": 1.0},
        "flush": {"run": "resilience.journal.flush.run", "every": 5.0, "limit": 30.0},
        "minutes": {"run": "resilience.journal.minutes.run", "every": 60.0},
        "alerts": {"run": "resilience.alerts.rules.run", "every": 1.0},
        "folders": {"run": "resilience.observe.folders.run", "every": 5.0},
        "prune_history": {"run": "resilience.journal.flush.prune", "every": 3600.0, "limit": 60.0},
    },
    # Alerts go to the log and the signal `resilience.signals.alert`, and to the channels named here.
    "ALERTS": {
        "webhook_url": os.environ.get("ALERT_WEBHOOK_URL", ""),  # what Slack calls an incoming webhook
        "mail": True,  # to ADMINS, where there are any
        "open_for": 300.0,  # a breaker is open for longer
        "flapping": 3,  # or has opened so often
        "flapping_within": 300.0,
        "override_for": 3600.0,  # an operator's order is older
        "quiet": 300.0,  # what comes and goes is told anew only after so long without it
        "retry_for": 300.0,  # one that does not get out is tried again for so long
    },
}

# What the middleware says on every response; browsers may read it on other sites' pages (CORS).
RESPONSE_HEADERS = [
    "X-Database-Status",
    "X-Cache-Status",
    "X-Circuit-Breaker-DB",
    "X-Circuit-Breaker-Cache",
    "X-Circuit-Breaker-Auth",
    "X-Circuit-Breaker-External-API",
    "X-System-Degraded",
    "X-Data-Source",
    "X-Request-ID",
]
