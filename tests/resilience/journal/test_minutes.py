"""The counters of a minute, from the store into the database."""

from contextlib import closing

import pytest
from django.db.models import Max, Min

from resilience import registry
from resilience.journal import flush, minutes
from resilience.journal.files import journal
from resilience.journal.notes import recall, remember
from resilience.models import Minute
from resilience.testing import server_role

pytestmark = pytest.mark.django_db


def add(source: str, amount: int) -> None:
    registry.store().counters.add("responses", source, amount=amount)


def lines() -> list[dict[str, int]]:
    """How much each counter grew, line by line, newest first."""
    return [
        {name: total - before for name, before, total in entry["counters"]}
        for entry in sorted(journal().entries(), key=lambda entry: -entry["at"])
        if entry["kind"] == "minute"
    ]


def summed(name: str) -> int:
    with closing(flush.Copier()) as copier:
        copier.run(journal())
    spans = Minute.objects.filter(name=name).values("host", "store")
    return sum(
        span["most"] - span["least"] for span in spans.annotate(most=Max("total"), least=Min("before"))
    )


class TestMinutes:
    def test_hold_what_was_counted_since_the_last(self) -> None:
        with server_role():
            add("live", 3)
            minutes.run(1)
            add("live", 4)
            add("static", 1)
            minutes.run(1)
            newest, first = lines()
        assert first["responses|live"] == 3
        assert (newest["responses|live"], newest["responses|static"]) == (4, 1)

    def test_leave_out_what_did_not_grow(self) -> None:
        with server_role():
            add("live", 3)
            minutes.run(1)
            minutes.run(1)
            add("static", 1)
            minutes.run(1)
            assert lines()[0] == {"responses|static": 1}

    def test_hold_the_calls_and_refusals_of_breakers(self) -> None:
        with server_role():
            breaker = registry.breaker("cache")
            breaker.call(int)
            breaker.isolate(who="ada", why="")
            breaker.execute(int, fallback=int)
            minutes.run(1)
            (line,) = lines()
        assert line["calls|cache|call|success"] == 1
        assert line["rejected|cache"] == 1

    def test_start_anew_with_a_new_store(self) -> None:
        for amount in (100, 3):
            with server_role():
                add("live", amount)
                minutes.run(1)
        assert summed("responses|live") == 103

    def test_add_up_to_the_same_whoever_writes_them_down(self) -> None:
        """A stopped steward wakes up and writes its minute, which another has written meanwhile."""
        with server_role():
            add("live", 5)
            minutes.run(1)
            stale = recall("totals")
            add("live", 7)
            minutes.run(2)
            remember("totals", stale)
            add("live", 1)
            minutes.run(1)
            assert summed("responses|live") == 13

    def test_lose_nothing_when_one_of_them_could_not_be_written(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with server_role():
            add("live", 5)
            with monkeypatch.context() as patch:
                patch.setattr("resilience.journal.events.journal", _full)
                minutes.run(1)
            add("live", 2)
            minutes.run(1)
            assert summed("responses|live") == 7


def _full() -> None:
    raise OSError("full")
