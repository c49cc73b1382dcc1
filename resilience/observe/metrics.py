"""The host's figures for Prometheus: they are the same whichever worker is scraped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from resilience import conf, faults, registry
from resilience.db import table_locks
from resilience.observe import folders, health
from resilience.primitives import BreakerSnapshot, State

# Each counter of the store by its first label: the names of the other labels, and its help.
_COUNTERS = {
    "transitions": (("breaker", "from", "to"), "Changes of state of a circuit breaker."),
    "responses": (("source",), "Answers by the tier that gave them."),
    "shed": (("pool", "reason"), "Requests that a pool has sent away, by reason."),
    "tier_passed": (("tier", "reason"), "Reads that a tier could not answer, by reason."),
    "not_stored": (("reason",), "Live answers of plain views that were not stored for others, by reason."),
    "events": (("kind",), "Events written into the host's journal."),
    "dropped": (("what",), "Records that could not be kept, such as events while the disk is full."),
    "alerts": (("channel", "outcome"), "Alerts by where they went."),
    "chores": (("chore", "outcome"), "Runs of the steward's chores."),
    "questions_failed": (
        ("question",),
        "Questions on the side that the database did not answer, though it was there.",
    ),
    "catalogue_version": (
        ("outcome",),
        "Catalogue versions that the host's store could not take at once: it was busy (late), or failed.",
    ),
    "own_trouble": (
        ("breaker", "lacked"),
        "Calls that failed because a process of this host lacked something; none counts.",
    ),
    "shadow_transitions": (
        ("breaker", "from", "to"),
        "Changes of state that a circuit breaker in shadow would have made.",
    ),
    "shadow_calls": (
        ("breaker", "outcome"),
        "Calls that a breaker in shadow would have refused, by how they ended.",
    ),
    "shadow_late": (("what",), "Calls and requests in shadow that would have been cut."),
    "shadow_full": (("pool",), "Calls in shadow that would have found no place."),
    "shadow_waited_ms": (
        ("what", "by"),
        "Milliseconds of waiting in shadow that a refusal, or a cut, would have spared.",
    ),
    "drilled": (("breaker",), "Calls that a drill has hit."),
    "connections_dropped": (("database", "reason"), "Kept connections that could not be used again."),
    "limits": (("limit", "outcome"), "Attempts that a limit refused, or could not count."),
}


class HostCollector:
    """Read the host's store at each scrape; nothing is kept in this process."""

    def collect(self) -> Iterator[Metric]:
        """Yield all metric families."""
        snapshots = [breaker.snapshot() for breaker in registry.watched().values()]
        yield from _breakers(snapshots)
        yield from _calls()
        yield from _counters()
        yield from _pools()
        yield from _static_copy()
        yield _running_faults()
        yield _folders()
        yield _table_locks()
        yield _single(
            "steward_present", "Whether a process of the host watches the dependencies.", health.has_steward()
        )
        yield _single("store_shared", "Whether the workers share their state.", registry.shared())
        yield _single("draining", "Whether the server is being taken out of rotation.", health.draining())


def exposition(accept: str) -> tuple[bytes, str]:
    """Return the metrics and their content type, in the format that the scraper accepts."""
    encode, content_type = choose_encoder(accept)
    return encode(_registry), content_type


def _breakers(snapshots: Iterable[BreakerSnapshot]) -> Iterator[Metric]:
    state = _gauge("breaker_state", "1 for the state that the breaker is in.", "breaker", "state")
    order = _gauge("breaker_override", "1 while an operator's order is in force.", "breaker", "kind")
    window = _gauge("breaker_window_calls", "Calls in the window, by how they ended.", "breaker", "outcome")
    rejected = CounterMetricFamily(
        "resilience_breaker_rejected", "Calls that were not made.", labels=["breaker"]
    )
    threshold = _gauge("breaker_failure_threshold", "Failures that open the breaker.", "breaker")
    for name, config in conf.watched().items():
        threshold.add_metric([name], config.failure_threshold)
    for found in snapshots:
        for one in State:
            state.add_metric([found.name, one.value], found.state is one)
        for kind in ("isolated", "disabled"):
            order.add_metric([found.name, kind], found.override is not None and found.override.kind == kind)
        for outcome in ("successes", "failures", "slow"):
            window.add_metric([found.name, outcome], getattr(found, outcome))
        rejected.add_metric([found.name], found.rejected)
    yield from (state, order, window, threshold, rejected)


def _calls() -> Iterator[Metric]:
    calls = CounterMetricFamily(
        "resilience_calls",
        "Calls of a dependency, by operation and how they ended.",
        labels=["breaker", "operation", "outcome"],
    )
    for name, breaker in registry.watched().items():
        for (operation, outcome), total in breaker.calls().items():
            calls.add_metric([name, operation, outcome], total)
    yield calls


def _counters() -> Iterator[Metric]:
    families = {
        kind: CounterMetricFamily(f"resilience_{kind}", text, labels=labels)
        for kind, (labels, text) in _COUNTERS.items()
    }
    for (kind, *labels), total in registry.store().counters.totals().items():
        if kind in families and len(labels) == len(_COUNTERS[kind][0]):
            families[kind].add_metric(labels, total)
    yield from families.values()


def _pools() -> Iterator[Metric]:
    in_use = _gauge("bulkhead_in_use", "Calls that run.", "pool")
    waiting = _gauge("bulkhead_waiting", "Calls that wait for a place.", "pool")
    limit = _gauge("bulkhead_limit", "Calls that may run at once.", "pool")
    rejected = CounterMetricFamily(
        "resilience_bulkhead_rejected", "Calls that found no place.", labels=["pool"]
    )
    for name, gauge in registry.store().pools.totals().items():
        in_use.add_metric([name], gauge.in_use)
        waiting.add_metric([name], gauge.waiting)
        limit.add_metric([name], gauge.limit)
        rejected.add_metric([name], gauge.rejected)
    yield from (in_use, waiting, limit, rejected)


def _running_faults() -> Metric:
    active = _gauge("drill_active", "1 while a drill breaks the dependency on purpose.", "breaker")
    broken = faults.active()
    for name in conf.declared_breakers():
        active.add_metric([name], name in broken)
    return active


def _table_locks() -> Metric:
    held = _gauge("table_locked", "1 while reads of the table do not wait for its lock.", "breaker", "table")
    for name in table_locks.locked():
        breaker, _, table = name.partition(" ")
        held.add_metric([breaker, table], 1)
    return held


def _folders() -> Metric:
    usable = _gauge("folder_usable", "1 while a folder that the server writes can be written.", "folder")
    for name, what in folders.without().items():
        usable.add_metric([name], not what)
    return usable


def _static_copy() -> Iterator[Metric]:
    copy = health.static_copy()
    age = _gauge("static_age_seconds", "Age of the static copy; absent while none opens.", "source")
    rows = _gauge("static_rows", "Rows of the static copy.", "resource")
    if copy is not None:
        age.add_metric([copy.source], max(0.0, (datetime.now(UTC) - copy.as_of).total_seconds()))
        for name, count in copy.rows.items():
            rows.add_metric([name], count)
    yield from (age, rows)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"resilience_{name}", text, labels=labels)


def _single(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"resilience_{name}", text, value=value)


_registry = CollectorRegistry(auto_describe=False)
_registry.register(HostCollector())
