"""The journal in the database: nothing twice, nothing lost."""

import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from resilience import conf, registry
from resilience.db import batches
from resilience.journal import events, flush
from resilience.journal.files import CURRENT, journal
from resilience.models import Event, Minute
from tests.patience import ROOM

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def copier(monkeypatch: pytest.MonkeyPatch) -> Iterator[flush.Copier]:
    fresh = flush.Copier()
    monkeypatch.setattr(flush, "_copier", fresh)
    yield fresh
    fresh.close()


def copied_by_another() -> None:
    """Copy as another process, which knows of nothing."""
    with closing(flush.Copier()) as other:
        other.run(journal())


def kinds() -> list[str]:
    return sorted(Event.objects.values_list("kind", flat=True))


class TestFlush:
    def test_stores_each_event_as_it_was_written(self, on_both_databases: str) -> None:
        events.record("reset", breaker="database", who="ada", why="fixed", at=1_000_000.5, before="OPEN")
        flush.run(1)
        event = Event.objects.get()
        assert (event.kind, event.breaker, event.who, event.why) == ("reset", "database", "ada", "fixed")
        assert event.at.timestamp() == 1_000_000.5
        assert event.data == {"before": "OPEN"}

    def test_stores_nothing_twice(self, on_both_databases: str) -> None:
        for kind in ("a", "b"):
            events.record(kind)
        flush.run(1)
        flush.run(1)
        for again in range(2):
            copied_by_another()
            assert kinds() == ["a", "b"], again

    def test_goes_on_where_it_was(self) -> None:
        for kind in ("a", "b", "c"):
            events.record(kind)
            flush.run(1)
        assert kinds() == ["a", "b", "c"]

    def test_loses_nothing_when_the_database_fails_in_the_middle(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        events.record("a")
        with monkeypatch.context() as patch:
            patch.setattr(flush, "_insert", _fails)
            with pytest.raises(OperationalError):
                flush.run(1)
        events.record("b")
        copied_by_another()
        assert kinds() == ["a", "b"]

    def test_sets_a_grown_file_aside_and_keeps_it_once_it_is_copied(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(flush, "ROTATED_AT", 1000)
        for number in range(10):
            events.record("drill", number=number)
        flush.run(1)
        assert len(journal().pending()) == 1
        events.record("late")
        flush.run(1)
        assert not journal().pending()
        assert len(list(conf.events_dir().glob("kept-*"))) == 1
        assert len(kinds()) == 11

    def test_copies_what_was_written_between_the_last_look_and_the_renaming(
        self, copier: flush.Copier
    ) -> None:
        events.record("a")
        flush.run(1)
        events.record("late")
        journal().rotate()
        flush.run(1)
        assert kinds() == ["a", "late"]

    def test_waits_for_the_rest_of_a_line_that_is_being_written(self) -> None:
        events.record("a")
        path = conf.events_dir() / CURRENT
        whole = path.read_bytes()
        path.write_bytes(whole[:-20])
        flush.run(1)
        assert kinds() == []
        with path.open("ab") as file:
            file.write(whole[-20:])
        flush.run(1)
        assert kinds() == ["a"]

    def test_passes_over_what_no_database_takes_and_counts_it(self, on_both_databases: str) -> None:
        entries: list[dict[str, Any]] = [
            {"kind": "a", "id": "no uuid"},
            {"kind": "minute", "store": "s", "counters": [["x", 5, 2]]},
            {"kind": "minute", "store": "s", "counters": [["x", 0, 2**70]]},
            {"kind": "good", "id": str(uuid.uuid4())},
            {"kind": "nul", "id": str(uuid.uuid4()), "why": "\0"},
        ]
        common = {"at": 1.0, "host": "h", "breaker": "", "who": "", "why": "", "data": {}}
        for entry in entries:
            journal().append(common | {"id": str(uuid.uuid4())} | entry)
        flush.run(1)
        assert "good" in kinds()
        assert not Minute.objects.exists()
        events.record("next")
        flush.run(1)
        assert "next" in kinds()

    def test_asks_nothing_of_a_database_whose_breaker_is_open(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry.breaker("database"), "refuses", lambda: True)
        events.record("a")
        flush.run(1)
        assert kinds() == []

    def test_stores_a_full_journal_in_bounded_time(self, settings: Settings) -> None:
        book = journal()
        entry = {"host": "h", "kind": "k", "breaker": "b", "who": "w", "why": "y" * 200, "data": {}}
        for _ in range(3000):
            book.append(entry | {"id": str(uuid.uuid4()), "at": time.time()})
        began = time.perf_counter()
        flush.run(1)
        assert Event.objects.count() == 3000
        assert time.perf_counter() - began < 10 + 20 * ROOM


class TestPrune:
    def test_deletes_what_is_older_than_it_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(batches, "_ROWS", 2)
        now = timezone.now()
        for days in (0, 89, 91, 92, 93, 94, 95):
            Event.objects.create(id=uuid.uuid4(), at=now - timedelta(days=days), kind=str(days))
        for days in (34, 36):
            Minute.objects.create(at=now - timedelta(days=days), name=str(days), before=0, total=1)
        flush.prune(1)
        assert kinds() == ["0", "89"]
        assert [minute.name for minute in Minute.objects.all()] == ["34"]


def _fails(*_: object) -> None:
    raise OperationalError("gone")
