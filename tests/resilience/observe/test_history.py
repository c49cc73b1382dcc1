"""What the history says, read from the database and from the journal alike."""

import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from django.db import OperationalError

from resilience import registry
from resilience.journal import events, flush, minutes, reading
from resilience.journal.files import journal
from resilience.models import Minute
from resilience.observe import history
from resilience.primitives import BulkheadFullError
from resilience.request import shed
from resilience.testing import server_role
from tests.patience import ROOM

pytestmark = pytest.mark.django_db

Summary = Callable[[str], dict[str, Any]]


@pytest.fixture(params=["database", "journal"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read from there; what it holds is the same."""
    monkeypatch.setattr(reading, "_database_answers", lambda: request.param == "database")
    return str(request.param)


def copied() -> None:
    with closing(flush.Copier()) as copier:
        copier.run(journal())


def ago(seconds: float) -> float:
    return time.time() - seconds


def changed(breaker: str, before: str, after: str, at: float, kind: str = "transition") -> None:
    events.record(kind, breaker=breaker, at=at, before=before, after=after, reason="3 failures")


def opened_on(host: str, at: float) -> None:
    data = {"before": "CLOSED", "after": "OPEN"}
    what = {"kind": "transition", "breaker": "cache", "who": "", "why": "", "data": data}
    journal().append({"id": str(uuid.uuid4()), "at": at, "host": host, **what})


def counted(at: float, store: str = "s", **totals: tuple[int, int]) -> None:
    counters = [[name.replace("__", "|"), *span] for name, span in totals.items()]
    events.write({"kind": "minute", "store": store, "counters": counters}, at=at)


def summed(span: str = "hour") -> dict[str, Any]:
    copied()
    return history.summary(span)


class TestAvailability:
    def test_is_the_share_of_answers_that_were_answers(self, place: str) -> None:
        counted(
            ago(60),
            responses__live=(0, 900),
            responses__static=(0, 80),
            responses__refused=(0, 15),
            responses__failed=(0, 5),
        )
        found = summed()
        assert found["from"] == place
        assert found["availability"] == 98.0
        assert found["answers"]["total"] == 1000
        assert found["fallbacks"] == {"answers": 80, "share": 8.0}

    def test_is_unknown_while_nothing_was_asked(self, place: str) -> None:
        found = summed()
        assert (found["availability"], found["fallbacks"]["share"]) == (None, None)

    def test_counts_hosts_and_stores_together_and_overlaps_once(self, place: str) -> None:
        counted(ago(120), "one", responses__live=(0, 10))
        counted(ago(60), "one", responses__live=(5, 20))
        counted(ago(60), "two", responses__live=(0, 1))
        assert summed()["answers"]["by_source"]["live"] == 21

    def test_counts_what_lies_in_the_span_alone(self, place: str) -> None:
        counted(ago(7200), responses__live=(0, 1000))
        counted(ago(60), responses__live=(1000, 1001))
        assert summed("hour")["answers"]["total"] == 1
        assert summed("day")["answers"]["total"] == 1001


class TestShed:
    def test_is_counted_by_pool(self, place: str) -> None:
        counted(ago(120), shed__read__busy=(0, 10))
        counted(ago(60), shed__read__busy=(10, 12), shed__other__unavailable=(0, 1))
        assert summed()["shed"] == {"requests": 13, "by_pool": {"read": 12, "other": 1}}
        assert "shed          1 by other, 12 by read" in history.table("hour")

    def test_has_no_line_where_there_is_none(self, place: str) -> None:
        counted(ago(60), responses__live=(0, 10))
        assert summed()["shed"] == {"requests": 0, "by_pool": {}}
        assert "shed" not in history.table("hour")

    def test_is_written_down_each_minute(self, place: str) -> None:
        with server_role():
            shed.note("read", BulkheadFullError("read", retry_after=1.0, reason="full"), read=True)
            minutes.run(0)
        assert summed()["shed"]["by_pool"] == {"read": 1}


class TestServices:
    def test_have_error_rates_by_operation(self, place: str) -> None:
        counted(
            ago(60),
            calls__database__query__success=(0, 70),
            calls__database__query__failure=(0, 20),
            calls__database__query__slow=(0, 10),
            calls__database__query__ignored=(0, 5),
            calls__database__connect__success=(0, 100),
            rejected__database=(0, 7),
        )
        database = summed()["services"]["database"]
        assert database["operations"]["query"] == {"calls": 100, "errors": 30, "error_rate": 30.0}
        assert database["operations"]["connect"]["error_rate"] == 0.0
        assert (database["calls"], database["error_rate"], database["refused"]) == (200, 15.0, 7)


class TestOutages:
    def test_last_from_opening_to_closing_however_often_probed(self, place: str) -> None:
        changed("database", "CLOSED", "OPEN", ago(100))
        changed("database", "OPEN", "HALF_OPEN", ago(85))
        changed("database", "HALF_OPEN", "OPEN", ago(84))
        changed("database", "OPEN", "HALF_OPEN", ago(69))
        changed("database", "HALF_OPEN", "CLOSED", ago(68))
        found = summed()
        (outage,) = found["outages"]
        assert (outage["breaker"], outage["reason"]) == ("database", "3 failures")
        assert outage["seconds"] == pytest.approx(32, abs=0.5)
        assert outage["ended"] is not None

    def test_give_recovery_times(self, place: str) -> None:
        for began, ended in ((1000, 990), (500, 470)):
            changed("cache", "CLOSED", "OPEN", ago(began))
            changed("cache", "OPEN", "CLOSED", ago(ended))
        cache = summed()["services"]["cache"]
        assert cache["outages"] == 2
        assert cache["recovery"] == {
            "mean": pytest.approx(20, abs=0.5),
            "longest": pytest.approx(30, abs=0.5),
        }

    def test_that_last_are_listed_and_no_recovery(self, place: str) -> None:
        changed("shop", "CLOSED", "OPEN", ago(50))
        found = summed()
        (outage,) = found["outages"]
        assert (outage["ended"], found["recovery"]["mean"]) == (None, None)
        assert outage["seconds"] == pytest.approx(50, abs=0.5)

    def test_reach_into_the_span_from_before(self, place: str) -> None:
        changed("cache", "CLOSED", "OPEN", ago(90_000))
        changed("cache", "OPEN", "CLOSED", ago(80_000))
        changed("cache", "CLOSED", "OPEN", ago(5000))
        changed("cache", "OPEN", "HALF_OPEN", ago(4000))
        changed("cache", "HALF_OPEN", "CLOSED", ago(3000))
        found = summed("hour")
        (outage,) = found["outages"]
        assert outage["seconds"] == pytest.approx(2000, abs=0.5)
        assert found["services"]["cache"]["down"] == pytest.approx(600, abs=0.5)

    def test_that_were_over_before_the_span_are_none(self, place: str) -> None:
        changed("cache", "CLOSED", "OPEN", ago(5000))
        changed("cache", "OPEN", "CLOSED", ago(4900))
        assert summed("hour")["outages"] == []

    def test_are_not_made_by_operators(self, place: str) -> None:
        changed("cache", "CLOSED", "OPEN", ago(50), kind="isolate")
        changed("cache", "OPEN", "CLOSED", ago(40), kind="auto")
        assert summed()["outages"] == []

    def test_end_with_the_last_change_when_the_store_was_built_anew(self, place: str) -> None:
        """After a restart of the machine the breaker is closed, and nobody closed it."""
        changed("cache", "CLOSED", "OPEN", ago(1000))
        changed("cache", "OPEN", "HALF_OPEN", ago(990))
        changed("cache", "CLOSED", "OPEN", ago(100))
        changed("cache", "HALF_OPEN", "CLOSED", ago(80))
        assert [outage["seconds"] for outage in summed()["outages"]] == pytest.approx([20, 10], abs=0.5)

    def test_do_not_last_on_a_host_that_knows_better(self, place: str) -> None:
        changed("cache", "CLOSED", "OPEN", ago(100))
        changed("cache", "OPEN", "HALF_OPEN", ago(90))
        copied()
        with server_role():
            registry.breaker("cache")
            (outage,) = history.summary("hour")["outages"]
        assert outage["seconds"] == pytest.approx(10, abs=0.5)

    @pytest.mark.parametrize(("silent", "lasts"), [(3000, True), (4000, False)])
    def test_do_not_last_on_a_host_that_went_away(self, place: str, silent: float, lasts: bool) -> None:
        entry: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "at": ago(silent),
            "host": "gone",
            "who": "",
            "why": "",
        }
        data = {"before": "CLOSED", "after": "OPEN"}
        journal().append(entry | {"kind": "transition", "breaker": "cache", "data": data})
        (outage,) = summed("day")["outages"]
        assert (outage["ended"] is None) is lasts

    def test_of_a_real_breaker_are_found(self, place: str) -> None:
        with server_role():
            breaker = registry.breaker("shop")
            for _ in range(5):
                with pytest.raises(ConnectionError):
                    breaker.call(_refused)
            breaker.reset(who="ada", why="fixed")
        (outage,) = summed()["outages"]
        assert outage["breaker"] == "shop"
        assert outage["ended"] is not None


class TestRecent:
    def test_lists_the_newest_first_by_kind_and_breaker(self, place: str) -> None:
        events.record("reset", breaker="cache", who="ada", at=ago(3))
        events.record("reset", breaker="database", at=ago(2))
        events.record("export_done", at=ago(1))
        counted(ago(0), responses__live=(0, 1))
        copied()
        assert [event["kind"] for event in history.recent()] == ["export_done", "reset", "reset"]
        assert [event["breaker"] for event in history.recent(kind="reset")] == ["database", "cache"]
        (event,) = history.recent(breaker="cache")
        assert event["who"] == "ada"
        assert len(history.recent(1)) == 1


class TestFailureRatesPerMinute:
    def test_are_of_all_operations_and_unknown_where_nothing_was_called(self, place: str) -> None:
        counted(ago(300), calls__database__query__success=(0, 3))
        counted(ago(180), calls__database__query__success=(3, 4), calls__database__query__failure=(0, 2))
        counted(ago(180), calls__database__ping__slow=(0, 1))
        counted(ago(180), calls__cache__get__answered=(0, 1), calls__cache__get__ignored=(0, 9))
        copied()
        rates = history.failure_rates_per_minute(["database", "cache", "auth"], 10)
        assert [len(found) for found in rates.values()] == [10, 10, 10]
        assert [rate for rate in rates["database"] if rate is not None] == [0.0, 75.0]
        assert rates["database"].index(75.0) - rates["database"].index(0.0) == 2
        assert [rate for rate in rates["cache"] if rate is not None] == [0.0]
        assert set(rates["auth"]) == {None}


class TestAnswersPerMinute:
    def test_has_a_row_for_each_minute(self, place: str) -> None:
        counted(ago(120), responses__live=(0, 5))
        counted(ago(60), responses__live=(3, 9), responses__static=(0, 1))
        counted(ago(60), responses__live=(3, 8))
        copied()
        rows = history.answers_per_minute(10)
        assert len(rows) == 10
        assert [row["answers"] for row in rows if row["answers"]] == [{"live": 5}, {"live": 4, "static": 1}]


class TestWithoutTheDatabase:
    def test_the_journal_answers_when_a_query_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        changed("cache", "CLOSED", "OPEN", ago(50))
        monkeypatch.setattr(reading.FromDatabase, "sums", _gone)
        with server_role():
            found = history.summary("hour")
        assert (found["from"], len(found["outages"])) == ("journal", 1)

    def test_a_command_waits_for_a_frozen_one_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        thawed, asked = threading.Event(), []

        def ask() -> None:
            asked.append(1)
            thawed.wait()

        monkeypatch.setattr(reading, "_away_until", 0.0)
        monkeypatch.setattr(reading, "_COMMAND_WAITS", 0.05)
        monkeypatch.setattr(
            "resilience.conf.probes", lambda kind: {"database": ask} if kind == "ping" else {}
        )
        for _ in range(3):
            assert history.summary("hour")["from"] == "journal"
        thawed.set()
        assert len(asked) == 1


class TestTable:
    def test_shows_what_the_summary_says(self, place: str) -> None:
        counted(ago(60), responses__live=(0, 99), responses__refused=(0, 1))
        counted(ago(60), calls__cache__get__failure=(0, 1), calls__cache__get__success=(0, 3))
        changed("shop", "CLOSED", "OPEN", ago(50))
        copied()
        shown = history.table("hour")
        assert "availability  99 % of 100 answers" in shown
        assert "live 99, refused 1" in shown
        assert "25 %" in shown
        assert ", still" in shown


class TestAMonthOfMinutes:
    def test_is_summed_within_a_reads_budget(self) -> None:
        """Thirty days, sixteen counters that grew in each tenth minute."""
        now = time.time()
        rows = [
            Minute(
                at=reading._time(now - minute * 600),
                host="h",
                store="s",
                name=f"calls|database|{name}|success",
                before=10**6 - minute,
                total=10**6 - minute + 1,
            )
            for minute in range(4320)
            for name in "abcdefghijklmnop"
        ]
        Minute.objects.bulk_create(rows, batch_size=1000)
        began = time.perf_counter()
        found = history.summary("month")
        assert time.perf_counter() - began < 2.0 + 5 * ROOM
        assert found["services"]["database"]["calls"] >= 16 * 4319


def _refused() -> None:
    raise ConnectionError


def _gone(*_: object) -> dict[str, int]:
    raise OperationalError("server closed the connection unexpectedly")


def test_hosts_are_kept_apart() -> None:
    for host in ("a", "b"):
        opened_on(host, ago(30))
    assert {outage["host"] for outage in summed()["outages"]} == {"a", "b"}
