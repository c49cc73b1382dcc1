"""What `RESILIENCE` is where a project does not say. Durations in seconds.

A project that wants one entry of a section otherwise takes the section from here:
`"BREAKERS": BREAKERS | {"database": BREAKERS["database"] | {"recovery_timeout": 5.0}}`. Deadlines alone are
looked up one by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Setting:
    """What a setting is unless said, and what it is for: `docs/settings.md` is made of these."""

    default: Any
    says: str


# "classify" judges exceptions; "ping" asks all the time, "probe" once the open time is over, both by the
# steward, off the way of requests. A breaker that nothing uses stays closed.
BREAKERS: dict[str, dict[str, Any]] = {
    "database": {
        "failure_threshold": 3,
        "recovery_timeout": 15.0,
        "window": 30.0,
        "minimum_volume": 5,
        "slow_after": 1.0,
        "permit_timeout": 2.0,
        "classify": "resilience.db.failures.classify",
        "ping": "resilience.db.probe.ping",
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
}

# A cache that takes no writes (a replica, a full memory) answers reads, so its breaker stays closed. What is
# stored has a breaker of its own beside it, which nobody declares.
CACHE_WRITES = "cache:writes"


def cache_writes(cache: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of the breaker of a cache's writes, which is like that of the cache."""
    own = {"classify": "resilience.cache.failures.classify_write", "ping": "resilience.cache.probe.write"}
    usual = {key: value for key, value in cache.items() if key not in ("ping", "probe", "slow_after")}
    return usual | (own if "ping" in cache else {})


# For 16 threads: one of them always stays free, and answers health.
BULKHEADS: dict[str, dict[str, Any]] = {
    "read": {"running": 5, "waiting": 1, "max_wait": 0.1},
    "write": {"running": 2, "waiting": 1, "max_wait": 0.1},
    "auth": {"running": 1, "waiting": 1, "max_wait": 0.1},
    "external": {"running": 1, "waiting": 0, "max_wait": 0.1},
    "other": {"running": 2, "waiting": 1, "max_wait": 0.1},
}

# The client's budgets, and just below them the limits that a live server keeps by itself.
DEADLINES: Mapping[str, Setting] = {
    "read": Setting(2.0, "what a read may spend on all its dependencies, from its start"),
    "write": Setting(2.0, "what a write may spend, its COMMIT left out"),
    "connect": Setting(0.5, "connecting to the database, over all its addresses"),
    "health_check": Setting(0.5, "asking a kept connection whether it still lives"),
    "statement": Setting(1.7, "what the database gives a statement (`statement_timeout`)"),
    "lock": Setting(1.5, "what the database lets a statement wait for a lock (`lock_timeout`)"),
    "commit": Setting(1.0, "what a COMMIT has at least, even when the budget is spent"),
    "cache": Setting(0.25, "connecting to the cache, and each wait for it"),
    "http_connect": Setting(1.0, "connecting to a partner"),
    # Below a read's budget: a silent partner has then had its full time, and has failed.
    "http_total": Setting(1.5, "a call to a partner in all"),
    "probe": Setting(0.5, "one ping or probe by the steward"),
}

# What the steward does for the host beside watching: start to start, and what one run may take.
CHORES: dict[str, dict[str, Any]] = {
    "idempotency": {"run": "resilience.answers.idempotency.prune", "every": 600.0, "limit": 60.0},
    "static": {"run": "resilience.tiers.static_copy.keeping.run", "every": 2.0},
    "generation": {"run": "resilience.tiers.catalogue_version.refresh", "every": 5.0, "limit": 1.0},
    "flush": {"run": "resilience.journal.flush.run", "every": 5.0, "limit": 30.0},
    "minutes": {"run": "resilience.journal.minutes.run", "every": 60.0},
    "alerts": {"run": "resilience.alerts.rules.run", "every": 1.0},
    "folders": {"run": "resilience.observe.folders.run", "every": 5.0},
    "prune_history": {"run": "resilience.journal.flush.prune", "every": 3600.0, "limit": 60.0},
}

# Every key that there is.
SETTINGS: Mapping[str, Setting] = {
    "NAMESPACE": Setting(None, "names the host store: one for each project on a host; must be given"),
    "DIR": Setting(
        None,
        "folder of the host store; without: the variable `RESILIENCE_DIR`, else in `/dev/shm` where there is "
        "one, else `var/resilience`",
    ),
    "STATIC_DIR": Setting(None, "folder of the static copy; without: `var/static-tier`"),
    "EVENTS_DIR": Setting(
        None, "folder of the journal; without: the variable `RESILIENCE_EVENTS_DIR`, else `var/events`"
    ),
    "EVENTS_LIMIT": Setting(
        16 * 1_048_576, "bytes that wait for the database; beyond it events are dropped and counted"
    ),
    "FALLBACK": Setting(
        None,
        "dotted path of what the static copy holds (`resilience.tiers.static_copy.Export`)",
    ),
    "DRILLS": Setting(False, "whether faults may be injected"),
    "DRILL_PATHS": Setting([], "what `manage.py drill` reads; `{n}` stands for a number from 1 to 60"),
    "DRILL_SIGN_IN": Setting(
        {}, "where `manage.py drill --user` signs in (`sign_in`) and exchanges a refresh token (`refresh`)"
    ),
    "BREAKERS": Setting(BREAKERS, "the circuit breakers, by name"),
    "BULKHEADS": Setting(BULKHEADS, "the pools of a process, by name; a view names its own by `@pool`"),
    "DEADLINES": Setting({}, "those that are not as below, by name"),
    "CHORES": Setting(CHORES, "what the steward does for the host, by name"),
    "ALERTS": Setting({}, "where alerts go, and when"),
    "LIVENESS_PATH": Setting("/api/health/live", "the address that says that the process lives"),
    "READINESS_PATH": Setting("/api/health/ready", "the address that says that the host can answer"),
    "METRICS_PATH": Setting(
        None,
        "the address that answers Prometheus, by the host's own address and in plain HTTP too; without: none",
    ),
}
