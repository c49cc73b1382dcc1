"""The defaults of `RESILIENCE`. Durations are in seconds.

A section of a project replaces that of this file. To change one entry, begin with the section from here:
`"BREAKERS": BREAKERS | {"database": BREAKERS["database"] | {"recovery_timeout": 5.0}}`. Only of `DEADLINES`
a project may name some: the others keep their default.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Setting:
    """The default of a setting, and what it is for. `docs/settings.md` is made of these."""

    default: Any
    says: str


# "classify" says how an exception counts. The steward calls "ping" all the time, and "probe" once the open
# time is over; no request waits for either. A breaker that nothing uses stays closed.
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

# A cache that takes no writes (a replica, a full memory) answers reads, so its breaker stays closed. Writes
# have a breaker of their own, which is not declared.
CACHE_WRITES = "cache:writes"


def cache_writes(cache: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of the breaker of a cache's writes, which is like that of the cache."""
    own = {"classify": "resilience.cache.failures.classify_write", "ping": "resilience.cache.probe.write"}
    usual = {key: value for key, value in cache.items() if key not in ("ping", "probe", "slow_after")}
    return usual | (own if "ping" in cache else {})


# A caller waits while others run, so what runs bounds the connections, and what waits the threads. The sizes
# are for 112 threads. One of them always stays free to answer liveness and readiness.
BULKHEADS: dict[str, dict[str, Any]] = {
    "read": {"running": 20, "waiting": 65, "max_wait": 1.0},
    "write": {"running": 4, "waiting": 4, "max_wait": 1.0},
    "auth": {"running": 2, "waiting": 2, "max_wait": 1.0},
    "external": {"running": 2, "waiting": 1, "max_wait": 0.1},
    "other": {"running": 4, "waiting": 5, "max_wait": 1.0},
}

# The client's budgets, and, just below them, the limits at which a live server ends a statement itself.
DEADLINES: Mapping[str, Setting] = {
    "read": Setting(2.0, "a read, with all its dependencies"),
    "write": Setting(2.0, "a write, without its COMMIT"),
    "connect": Setting(0.5, "connecting to the database, all its addresses together"),
    "health_check": Setting(0.5, "asking a kept connection whether it still works"),
    "statement": Setting(1.7, "a statement, ended by the database itself (`statement_timeout`)"),
    "lock": Setting(1.5, "a statement's wait for a lock, ended by the database itself (`lock_timeout`)"),
    "commit": Setting(1.0, "the least time of a COMMIT, even if the budget is spent"),
    "cache": Setting(0.25, "connecting to the cache, and each wait for its answer"),
    "http_connect": Setting(1.0, "connecting to a partner"),
    # Less than a read's budget, so that a silent partner gets its full time and counts as failed.
    "http_total": Setting(1.5, "a whole call to a partner"),
    "probe": Setting(0.5, "one ping or probe by the steward"),
}

# The steward's chores: `every` is the seconds from start to start, `limit` those that one run may take.
CHORES: dict[str, dict[str, Any]] = {
    "idempotency": {"run": "resilience.answers.idempotency.prune", "every": 600.0, "limit": 60.0},
    "static": {"run": "resilience.tiers.static_copy.keeping.run", "every": 2.0},
    "flush": {"run": "resilience.journal.flush.run", "every": 5.0, "limit": 30.0},
    "minutes": {"run": "resilience.journal.minutes.run", "every": 60.0},
    "alerts": {"run": "resilience.alerts.rules.run", "every": 1.0},
    "folders": {"run": "resilience.observe.folders.run", "every": 5.0},
    "prune_history": {"run": "resilience.journal.flush.prune", "every": 3600.0, "limit": 60.0},
}

# Every key that there is.
SETTINGS: Mapping[str, Setting] = {
    "NAMESPACE": Setting(None, "name of the host store, one for each project on a host; it must be given"),
    "DIR": Setting(
        None,
        "folder of the host store; by default that of the variable `RESILIENCE_DIR`, else one in `/dev/shm`, "
        "if that exists, else `var/resilience`",
    ),
    "STATIC_DIR": Setting(None, "folder of the static copy; by default `var/static-tier`"),
    "EVENTS_DIR": Setting(
        None,
        "folder of the journal; by default that of the variable `RESILIENCE_EVENTS_DIR`, else `var/events`",
    ),
    "EVENTS_LIMIT": Setting(
        16 * 1_048_576,
        "the most bytes of events that wait for the database; further events are dropped and counted",
    ),
    "FALLBACK": Setting(
        None,
        "dotted path of the `resilience.tiers.static_copy.Export` that says what the static copy holds; None "
        "for no static tier",
    ),
    "SHADOW": Setting(
        False,
        "whether nothing is refused, cut or stood in for, and what would have been is counted: see "
        "[adopting.md](adopting.md#shadow)",
    ),
    "DRILLS": Setting(False, "whether drills may break calls on purpose"),
    "DRILL_PATHS": Setting([], "what `manage.py drill` reads; `{n}` stands for a number from 1 to 60"),
    "DRILL_SIGN_IN": Setting(
        {}, "where `manage.py drill --user` signs in (`sign_in`) and exchanges a refresh token (`refresh`)"
    ),
    "BREAKERS": Setting(BREAKERS, "the circuit breakers, by name"),
    "BULKHEADS": Setting(BULKHEADS, "the pools of a process, by name; a view names its own by `@pool`"),
    "DEADLINES": Setting({}, "the deadlines that differ from those below, by name"),
    "CHORES": Setting(CHORES, "what the steward does for the host, by name"),
    "ALERTS": Setting({}, "where alerts go, and when there is one"),
    "LIVENESS_PATH": Setting("/api/health/live", "path of liveness: whether the process runs"),
    "READINESS_PATH": Setting("/api/health/ready", "path of readiness: whether the host can answer anything"),
    "METRICS_PATH": Setting(
        None,
        "path of the metrics for Prometheus, which is also answered by the host's own address and in plain "
        "HTTP; None for none",
    ),
}
