"""Read the history from the database, or from this host's journal while the database is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from django.db.models import F, Max, Min, Q

from resilience import registry
from resilience.db.outages import is_outage
from resilience.journal.files import journal
from resilience.journal.minutes import KIND as MINUTE
from resilience.journal.past_outages import CHANGES
from resilience.models import Event, Minute
from resilience.net.pings import ask_all

logger = logging.getLogger("resilience.events")

T = TypeVar("T")
Entry = dict[str, Any]

_DAY = 86_400.0
# A command has no deadlines. These are the seconds that it waits for the database before it reads the
# journal, and the seconds for which it then does not ask the database again.
_COMMAND_WAITS = 1.0
_COMMAND_FORGETS = 10.0
_away_until = 0.0


class Count(NamedTuple):
    """One counter of one store at one time. `series` is host, store and name; see `Minute`."""

    at: float
    series: tuple[str, str, str]
    before: int
    total: int


def read(ask: Callable[[Reading], T]) -> tuple[T, str]:
    """Ask the database, or the journal while the database is away.

    Returns the answer and the name of the one that gave it. Raises what `ask` raises, if it is no outage.
    """
    if _database_answers():
        try:
            return ask(FromDatabase()), FromDatabase.name
        except Exception as error:
            if not is_outage(error):
                raise
    return ask(FromJournal()), FromJournal.name


def _database_answers() -> bool:
    global _away_until
    if registry.is_server():
        return not registry.breaker("database").refuses()
    if time.monotonic() < _away_until:
        return False
    ping = ask_all(_COMMAND_WAITS, names=["database"]).get("database")
    if ping is None or not ping.error:
        return True
    logger.info("the history is read from the journal: %s", ping.error)
    _away_until = time.monotonic() + _COMMAND_FORGETS
    return False


class FromDatabase:
    """The events of all hosts, as far as they are copied into the database."""

    name = "database"

    def sums(self, since: float) -> dict[str, int]:
        """Return by how much each counter grew since then, over all hosts."""
        series = Minute.objects.filter(at__gte=_time(since)).values("name", "host", "store")
        grown: dict[str, int] = {}
        for name, least, most in series.annotate(least=Min("before"), most=Max("total")).values_list(
            "name", "least", "most"
        ):
            grown[name] = grown.get(name, 0) + most - least
        return grown

    def counts(self, since: float, prefix: str) -> Iterable[Count]:
        """Return the counters whose names begin with `prefix`, oldest first."""
        rows = Minute.objects.filter(at__gte=_time(since), name__startswith=prefix).order_by("at")
        for at, host, store, name, before, total in rows.values_list(
            "at", "host", "store", "name", "before", "total"
        ):
            yield Count(at.timestamp(), (host, store, name), before, total)

    def changes(self, since: float) -> list[Entry]:
        """Return the changes of breakers since then, oldest first.

        For a breaker that was open at `since` they begin with its opening.
        """
        changed = Event.objects.filter(kind__in=CHANGES).order_by("at")
        closes, opens = Q(data__after="CLOSED"), ~Q(data__after="CLOSED") & ~Q(kind="isolate")
        states = (
            changed.filter(at__lt=_time(since))
            .order_by()
            .values("host", "breaker")
            .annotate(closed=Max("at", filter=closes), opened=Max("at", filter=opens))
        )
        before: list[Entry] = []
        for state in states:
            closed = state["closed"] or _time(0.0)
            if state["opened"] is not None and state["opened"] > closed:
                of_one = changed.filter(host=state["host"], breaker=state["breaker"])
                before += map(_entry, of_one.filter(opens, at__gt=closed, at__lt=_time(since)))
        return [*before, *map(_entry, changed.filter(at__gte=_time(since)))]

    def recent(self, limit: int, kind: str, breaker: str) -> list[Entry]:
        """Return the last `limit` events, newest first; empty `kind` or `breaker`: of every one."""
        events = Event.objects.order_by(F("at").desc())
        if kind:
            events = events.filter(kind=kind)
        if breaker:
            events = events.filter(breaker=breaker)
        return [_entry(event) for event in events[:limit]]


class FromJournal:
    """The events of this host, as far back as its files go."""

    name = "journal"

    def sums(self, since: float) -> dict[str, int]:
        ends: dict[tuple[str, str, str], tuple[int, int]] = {}
        for _, series, before, total in self._counts(since):
            least, most = ends.get(series, (before, total))
            ends[series] = min(least, before), max(most, total)
        grown: dict[str, int] = {}
        for (_, _, name), (least, most) in ends.items():
            grown[name] = grown.get(name, 0) + most - least
        return grown

    def counts(self, since: float, prefix: str) -> Iterable[Count]:
        return sorted(count for count in self._counts(since) if count.series[2].startswith(prefix))

    def changes(self, since: float) -> list[Entry]:
        before: dict[tuple[str, str], list[Entry]] = {}
        within: list[Entry] = []
        for entry in sorted(journal().entries(), key=_at):
            if entry["kind"] not in CHANGES:
                continue
            key = entry["host"], entry["breaker"]
            if entry["at"] >= since:
                within.append(entry)
            elif entry["data"]["after"] == "CLOSED":
                before.pop(key, None)
            elif entry["kind"] != "isolate":
                before.setdefault(key, []).append(entry)
        return [*sorted(chain.from_iterable(before.values()), key=_at), *within]

    def recent(self, limit: int, kind: str, breaker: str) -> list[Entry]:
        # Look at the last day first: then files of earlier days need not even be opened.
        for since in (time.time() - _DAY, 0.0):
            found = [
                entry
                for entry in journal().entries(since)
                if entry["kind"] != MINUTE
                and kind in ("", entry["kind"])
                and breaker in ("", entry["breaker"])
            ]
            if len(found) >= limit:
                break
        return sorted(found, key=_at, reverse=True)[:limit]

    def _counts(self, since: float) -> Iterator[Count]:
        for entry in journal().entries(since):
            if entry["kind"] == MINUTE:
                for name, before, total in entry["counters"]:
                    yield Count(entry["at"], (entry["host"], entry["store"], name), before, total)


Reading = FromDatabase | FromJournal
"""What can be asked for the history. Times are wall seconds."""


def _entry(event: Event) -> Entry:
    return {
        "id": str(event.id),
        "at": event.at.timestamp(),
        "host": event.host,
        "kind": event.kind,
        "breaker": event.breaker,
        "who": event.who,
        "why": event.why,
        "data": event.data,
    }


def _at(entry: Entry) -> float:
    return float(entry["at"])


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
