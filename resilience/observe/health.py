"""The state of the host, at once. It comes from the store and the static copy's label; nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Event
from time import monotonic
from typing import Any

from resilience import conf, faults, registry
from resilience.db import table_locks
from resilience.defaults import CACHE_WRITES
from resilience.observe import folders
from resilience.primitives import BreakerSnapshot, State, TierUnavailableError
from resilience.primitives.clock import iso
from resilience.primitives.own import DESCRIPTORS, MEMORY, PORTS, THREADS
from resilience.request import shed
from resilience.tiers import stored
from resilience.tiers.static_copy import StaticInfo, files, keeping
from resilience.tiers.static_copy.declared import declared

HEALTHY, DEGRADED = "healthy", "degraded"

# Shortages of a process that do not end with a peak of load, and for how many seconds health reports them.
LACKING = (DESCRIPTORS, MEMORY, THREADS, PORTS)
_LACKS_FOR = 60.0

_ending = Event()


def report(names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the body of `/api/health`; it is the same in each process of the host.

    `names` are the breakers to look at; by default all.

    Counts are those of each breaker's window, rates are in percent, ages in seconds. It does not say who gave
    an order, or why, since everybody may read it.
    """
    looked_at = conf.declared_breakers() if names is None else names
    services = {name: service(registry.breaker(name).snapshot()) for name in looked_at}
    if "cache" in services and not _cache_takes_writes():
        services["cache"]["status"] = DEGRADED
    well = all(one["status"] == HEALTHY for one in services.values())
    busy = shed.reads_lately()
    copy = static_copy()
    noticed = notices()
    return {
        "status": HEALTHY if well and not busy else DEGRADED,
        "timestamp": iso(datetime.now(UTC)),
        "services": services,
        "fallbackData": fallback_data(copy),
        "message": message(noticed, well=well, busy=bool(busy)),
        "store": "host" if registry.shared() else "local",
        "steward": has_steward(),
        "staticTier": None if copy is None else described(copy),
        "pools": pools(),
        "drills": running_faults(),
        "folders": folders.without(),
        "notices": noticed,
        "shadow": in_shadow(),
    }


def message(noticed: Sequence[str], *, well: bool, busy: bool) -> str:
    """Return a sentence that sums it up: whether the services are `well`, and the site is too `busy`."""
    if not well:
        return "Some services are degraded"
    if busy:
        return "The site is busy; all services are healthy"
    return "All services are healthy; see the notices" if noticed else "All systems operational"


def service(found: BreakerSnapshot) -> dict[str, Any]:
    """Return one breaker as health shows it."""
    return {
        "status": HEALTHY if found.state is State.CLOSED else DEGRADED,
        "state": found.state.value,
        "failures": found.failures,
        "successes": found.successes,
        "failureRate": round(100.0 * found.failure_rate, 1),
        "totalRequests": found.calls,
        "slow": found.slow,
        "isolated": found.isolated,
        "disabled": found.disabled,
        "wouldBe": None if found.would_be is None else found.would_be.value,
        "retryAfter": round(max(0.0, found.retry_after), 1),
    }


def breaker(found: BreakerSnapshot) -> dict[str, Any]:
    """Return one breaker as operators see it: with its past, and the order in force."""
    order = found.override
    return {
        "name": found.name,
        **service(found),
        "rejected": found.rejected,
        "openings": found.openings,
        "since": wall(found.since),
        "lasted": seconds(found.lasted),
        "lastError": found.last_error,
        "lastErrorAt": wall(found.last_error_at),
        "lastErrorAge": seconds(found.last_error_age),
        "override": order
        and {
            "kind": order.kind,
            "who": order.who,
            "why": order.why,
            "since": wall(order.since),
            "until": wall(order.until),
        },
    }


def pools() -> dict[str, dict[str, int]]:
    """Return how full the bulkheads are, in all processes of the host.

    `rejected` counts calls since the store was built. `shedLastMinute` counts requests that found no
    place, and got a stand-in or a 503 for it.
    """
    lately = shed.in_last_minute()
    return {
        name: {
            "inUse": gauge.in_use,
            "waiting": gauge.waiting,
            "limit": gauge.limit,
            "rejected": gauge.rejected,
            "shedLastMinute": lately.get(name, 0),
        }
        for name, gauge in registry.store().pools.totals().items()
    }


def running_faults() -> dict[str, dict[str, Any]]:
    """Return the faults in force, by breaker, with the seconds that each has left."""
    now = monotonic()
    return {
        name: {
            "fault": fault.kind,
            "share": fault.share,
            "secondsLeft": round(fault.left(now), 1),
        }
        for name, fault in faults.active().items()
    }


def notices() -> list[str]:
    """Return a sentence for each trouble that no breaker shows."""
    found = [
        f"The site is busy: reads that find no place in the pool {pool} get a stand-in or a 503."
        for pool in shed.reads_lately()
    ]
    found += [
        f"Reads of the table {name.partition(' ')[2]} do not wait for it: another client has locked it."
        for name in table_locks.locked()
    ]
    now = registry.clock().monotonic()
    found += [
        f"A process of this host lacks {lacked}: its own calls fail, and count for nothing."
        for lacked in LACKING
        if (met := registry.store().lacks.latest(lacked)) > 0.0 and now - met < _LACKS_FOR
    ]
    if not _cache_takes_writes():
        found.append("The cache stores nothing: it answers reads, and refuses what is written.")
    return found + folders.notices()


def in_shadow() -> str:
    """Return a sentence on what is in shadow; "" if nothing is."""
    if conf.shadow():
        return "Nothing is refused, cut or stood in for. What would be: manage.py breakers report."
    named = [name for name in conf.declared_breakers() if conf.in_shadow(name)]
    return f"Calls of {', '.join(named)} are not refused, but counted if they would be." if named else ""


def _cache_takes_writes() -> bool:
    return registry.breaker(CACHE_WRITES).shown() is State.CLOSED


def static_copy() -> StaticInfo | None:
    """Return the label of the current static copy; None if none opens. A file is opened only once."""
    try:
        return files.current().info
    except TierUnavailableError:
        return None


def fallback_data(copy: StaticInfo | None) -> dict[str, bool]:
    """Return, by resource, whether the static tier could answer for it; made-up rows do not count."""
    try:
        names = [resource.name for resource in declared().resources]
    except TierUnavailableError:
        return {}
    real = copy is not None and copy.tier == "static"
    return {name: real and copy is not None and copy.rows.get(name, 0) > 0 for name in names}


def described(copy: StaticInfo) -> dict[str, Any]:
    """Return the content of a static copy and its age."""
    age = (datetime.now(UTC) - copy.as_of).total_seconds()
    return {
        "source": copy.source,
        "asOf": iso(copy.as_of),
        "age": max(0, round(age)),
        "rows": dict(copy.rows),
    }


def has_steward() -> bool:
    """Tell whether the host has a steward."""
    return registry.store().lease.holder(registry.clock().monotonic()) is not None


def drain() -> None:
    """Report from now on that this process is not ready, because its server is about to end."""
    _ending.set()


def draining() -> bool:
    """Tell whether this process drains: its server is about to end, or an operator has ordered it.

    The operator's order is a file `drain` beside the host's store. It holds for all servers of the host,
    until it is removed.
    """
    return _ending.is_set() or (conf.directory() / "drain").exists()


def starting() -> bool:
    """Tell whether this process has just begun, and its first static copy is still being built."""
    return keeping.start.goes_on()


def able() -> list[str]:
    """Return the tiers that can answer reads now, the best first. If there are none, it is not ready."""
    copy = static_copy()
    return [
        tier
        for tier, can in (
            ("live", registry.states().get("database", State.CLOSED) == State.CLOSED),
            ("cached", stored.holds_any()),
            ("static" if copy is None else copy.tier, copy is not None and any(copy.rows.values())),
        )
        if can
    ]


def wall(at: float | None) -> str | None:
    """Return wall seconds as text for JSON."""
    return None if at is None else iso(at)


def seconds(lasted: float | None) -> float | None:
    """Return a duration for JSON, in rounded seconds."""
    return None if lasted is None else round(lasted, 1)
