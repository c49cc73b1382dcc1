"""Decide what people should know at once. An alert is sent when something begins, not at each request."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from resilience import conf, registry
from resilience.alerts.channels import Alert, go_on, send, take_over
from resilience.conf import AlertConfig
from resilience.journal.events import hostname
from resilience.journal.files import journal
from resilience.journal.minutes import store_identity
from resilience.journal.notes import recall, remember
from resilience.primitives import BreakerSnapshot, State

Notes = dict[str, Any]

# The notes, while they cannot be written down: else a full disk would repeat the alerts each second.
_unwritten: Notes | None = None
# The clock of the times in the notes. A store ends with its boot, so they mean the same to each reader.
_TIMES = "monotonic"
# The steward's epoch when this process looked last.
_epoch: int | None = None


def run(epoch: int) -> None:
    """Look at the store, and send an alert for each thing that has begun or ended since the last look.

    In the first run of a term, also queue the alerts that other processes left unsent.
    """
    global _unwritten, _epoch
    if epoch != _epoch:
        _epoch = epoch
        take_over()
    go_on()
    seen = look()
    notes = _unwritten if _unwritten is not None else recall("alerts")
    if (notes.get("store"), notes.get("times")) != (seen.store, _TIMES):
        notes = {"store": seen.store, "times": _TIMES}
    before = repr(notes)
    for alert in judge(seen, notes, conf.alerts()):
        send(alert)
    if repr(notes) != before or _unwritten is not None:
        _unwritten = notes
        remember("alerts", notes)
        _unwritten = None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The store at one moment: breakers with their thresholds, and the counters.

    `at` is wall seconds, for people. `now` is monotonic seconds; all durations are measured by it.
    """

    at: float
    now: float
    store: str
    breakers: Mapping[str, BreakerSnapshot]
    thresholds: Mapping[str, int]
    totals: Mapping[tuple[str, ...], int]
    by: Callable[[], str] = field(default=lambda: "")
    """Returns who entered the board last by a pass; called only if somebody did."""


def look() -> Seen:
    """Read the store, which can be read whatever else is down."""
    store = registry.store()
    return Seen(
        at=registry.clock().time(),
        now=registry.clock().monotonic(),
        store=store_identity(store),
        breakers={name: breaker.snapshot() for name, breaker in registry.watched().items()},
        thresholds={name: config.failure_threshold for name, config in conf.watched().items()},
        totals=store.counters.totals(),
        by=_last_pass,
    )


def judge(seen: Seen, notes: Notes, config: AlertConfig) -> list[Alert]:
    """Return an alert for each thing that has begun or ended; change `notes`, which earlier looks have left.

    They are plain JSON, so that the next steward can go on from it.
    """
    alerts: list[Alert] = []
    for name, snapshot in seen.breakers.items():
        known = notes.setdefault("breakers", {}).setdefault(name, {})
        alerts += _Breaker(seen, snapshot, known, config).alerts()
    for source in ("static", "mock"):
        alerts += _served(seen, source, notes.setdefault("served", {}).setdefault(source, {}), config)
    if new := _new(seen, notes, "passes", "pass"):
        who = seen.by()
        text = f"the board was entered by pass, {new} times" + (f", last by {who}" if who else "")
        alerts.append(Alert(kind="pass", text=text, count=new, at=seen.at, host=hostname()))
    if new := _new(seen, notes, "wedged", "wedged"):
        text = f"a process of the server hung, and was replaced, {new} times; the log says which and why"
        alerts.append(Alert(kind="wedged", text=text, count=new, at=seen.at, host=hostname()))
    return alerts


class _Breaker:
    """The alerts of one breaker. `known` is its part of the notes, which is changed."""

    def __init__(self, seen: Seen, snapshot: BreakerSnapshot, known: Notes, config: AlertConfig) -> None:
        self._seen = seen
        self._snapshot = snapshot
        self._known = known
        self._config = config
        self._now = seen.now

    def alerts(self) -> list[Alert]:
        if self._snapshot.would_be is not None:
            would = self._would_have_opened()
            return [] if would is None else [would]
        found = [self._opened(), self._flapping(), self._open_long(), self._recovered(), self._warning()]
        return [alert for alert in (*found, self._override()) if alert is not None]

    def _tell(self, kind: str, text: str, *, count: int = 1, serious: bool = True, **facts: object) -> Alert:
        snapshot = self._snapshot
        facts |= {"state": snapshot.state.value, "last error": snapshot.last_error or "none"}
        return Alert(
            kind=kind,
            breaker=snapshot.name,
            text=text,
            count=count,
            at=self._seen.at,
            host=hostname(),
            serious=serious,
            facts=facts,
        )

    def _opened(self) -> Alert | None:
        snapshot, known = self._snapshot, self._known
        openings = self._seen.totals.get(("transitions", snapshot.name, "CLOSED", "OPEN"), 0)
        is_open = snapshot.state is not State.CLOSED
        # A breaker that is open at the first look counts as just opened.
        new = openings - known.setdefault("openings", openings - int(is_open and not snapshot.isolated))
        known["openings"] = openings
        if new <= 0 or snapshot.isolated:
            return None
        known.setdefault("times", []).extend([self._now] * min(new, self._config.flapping))
        known.setdefault("opened", self._now - (snapshot.lasted or 0.0) if is_open else self._now)
        reason = f"last error {snapshot.last_error}" if snapshot.last_error else "slow calls"
        return self._tell("opened", f"opened; {reason}", count=new)

    def _would_have_opened(self) -> Alert | None:
        """Warn that one in shadow would have opened; once in `quiet` seconds, since nobody has to act."""
        snapshot, known = self._snapshot, self._known
        openings = self._seen.totals.get(("shadow_transitions", snapshot.name, "CLOSED", "OPEN"), 0)
        new = openings - known.setdefault("would_open", openings)
        last = known.get("would_told")
        if new <= 0 or (last is not None and self._now - last < self._config.quiet):
            return None
        known["would_open"], known["would_told"] = openings, self._now
        reason = f"last error {snapshot.last_error}" if snapshot.last_error else "slow calls"
        text = f"would have opened, but is in shadow; {reason}"
        return self._tell("shadow", text, count=new, serious=False)

    def _flapping(self) -> Alert | None:
        known, config = self._known, self._config
        times = [at for at in known.get("times", ()) if self._now - at < config.flapping_within]
        if times or "times" in known:
            known["times"] = times[-config.flapping :]
        if len(times) < config.flapping:
            known.pop("flapping", None)
            return None
        if known.get("flapping"):
            return None
        known["flapping"] = True
        minutes = config.flapping_within / 60
        return self._tell(
            "flapping", f"flaps: opened {len(times)} times in {minutes:g} min", count=len(times)
        )

    def _open_long(self) -> Alert | None:
        opened = self._known.get("opened")
        if opened is None or self._snapshot.state is State.CLOSED or self._known.get("long"):
            return None
        if self._now - opened <= self._config.open_for:
            return None
        self._known["long"] = True
        rejected = self._snapshot.rejected
        text = f"has been open for over {self._config.open_for / 60:g} min"
        return self._tell("open_long", text, refused=rejected)

    def _recovered(self) -> Alert | None:
        known, snapshot = self._known, self._snapshot
        # A disabled breaker looks closed, but that does not show that its dependency is well.
        if known.get("opened") is None or snapshot.state is not State.CLOSED or snapshot.disabled:
            return None
        closed = max(known["opened"], self._now - (snapshot.lasted or 0.0))
        lasted = max(0.0, closed - known.pop("opened"))
        known.pop("long", None)
        return self._tell(
            "recovered", f"recovered after {lasted:.0f} s", serious=False, seconds=round(lasted, 1)
        )

    def _warning(self) -> Alert | None:
        known, snapshot = self._known, self._snapshot
        threshold = self._seen.thresholds[snapshot.name]
        if snapshot.state is not State.CLOSED or snapshot.failures < math.ceil(threshold / 2):
            # Warn again only after `quiet` seconds: on a busy site failures come and go within each window.
            if self._now - known.get("warned", self._now) >= self._config.quiet:
                del known["warned"]
            return None
        if "warned" in known:
            return None
        known["warned"] = self._now
        failures, calls = snapshot.failures, snapshot.calls
        text = f"{failures} failures of {calls} calls; it opens after {threshold}"
        return self._tell("warning", text, count=failures)

    def _override(self) -> Alert | None:
        override, known = self._snapshot.override, self._known
        if override is None or override.lasted <= self._config.override_for:
            return None
        if known.get("override") == self._snapshot.generation:
            return None
        known["override"] = self._snapshot.generation
        hours = override.lasted / 3600
        text = (
            f"{override.kind} by {override.who or 'nobody'} for {hours:.1f} h: {override.why or 'no reason'}"
        )
        return self._tell("override", text)


def _served(seen: Seen, source: str, known: Notes, config: AlertConfig) -> list[Alert]:
    """Return an alert when stand-ins are served; another only after `quiet` seconds without any."""
    total = seen.totals.get(("responses", source), 0)
    new = total - known.get("total", 0)
    last = known.get("last")
    if new <= 0:
        return []
    known["total"] = total
    # Each change of the notes is written to disk, so note the time no more often than needed.
    if last is None or seen.now - last > config.quiet / 10:
        known["last"] = seen.now
    if last is not None and seen.now - last < config.quiet:
        return []
    what = "made-up rows are" if source == "mock" else "the static copy is"
    return [Alert(kind=source, text=f"{what} served to clients", count=new, at=seen.at, host=hostname())]


def _new(seen: Seen, notes: Notes, known: str, kind: str) -> int:
    """Return how many events of a kind came since the last look, whose total is kept in `notes[known]`."""
    total = seen.totals.get(("events", kind), 0)
    new = total - int(notes.get(known, 0))
    if new > 0:
        notes[known] = total
    return max(0, new)


def _last_pass() -> str:
    entries = [entry for entry in journal().entries(time.time() - 60.0) if entry["kind"] == "pass"]
    return str(max(entries, key=lambda entry: float(entry["at"]))["who"]) if entries else ""
