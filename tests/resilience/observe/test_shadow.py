"""What `breakers report` tells of a site in shadow, and where else people see it."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from resilience import conf, registry
from resilience.alerts import rules
from resilience.observe import health, shadow
from resilience.operate.orders import Order, OrderError, steer
from resilience.primitives import ManualClock, Outcome, State
from resilience.testing import server_role
from zenow.settings.resilience import RESILIENCE


@pytest.fixture(autouse=True)
def _in_shadow(settings: Settings) -> None:
    settings.RESILIENCE = RESILIENCE | {"SHADOW": True}


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    clock = ManualClock()
    with server_role(clock=clock):
        yield clock


def call(outcome: Outcome, *, took: float = 0.0, times: int = 1) -> None:
    breaker = registry.breaker("database")
    for _ in range(times):
        breaker.settle(breaker.admit(), outcome, error=None, took=took)


def of_the_database() -> dict[str, Any]:
    found: dict[str, Any] = shadow.report()["breakers"][0]
    return found


class TestTheReport:
    def test_tells_what_would_have_been_refused_and_saved(self, clock: ManualClock) -> None:
        call(Outcome.FAILURE, times=3)
        call(Outcome.FAILURE, took=2.0, times=2)
        call(Outcome.SUCCESS, took=1.5)
        call(Outcome.SUCCESS, took=0.01, times=4)
        assert of_the_database() == {
            "name": "database",
            "wouldBe": "OPEN",
            "opened": 1,
            "refused": 7,
            "failed": 2,
            "slow": 1,
            "falseAlarms": 4,
            "cut": 0,
            "secondsSpared": 5.5,
        }

    def test_is_the_same_as_a_table_and_as_json(self, clock: ManualClock) -> None:
        call(Outcome.FAILURE, times=4)
        registry.note_overdue("request read", 1.25)
        text, out = StringIO(), StringIO()
        call_command("breakers", "report", stdout=text)
        call_command("breakers", "report", "--json", stdout=out)
        assert json.loads(out.getvalue()) == shadow.report()
        (row,) = [line.split() for line in text.getvalue().splitlines() if line.startswith("database")]
        assert row == ["database", "OPEN", "1", "1", "1", "0", "0", "0", "0.0", "s"]
        assert "request reads: 1 would have been cut, 1.2 s of waiting after that" in text.getvalue()

    def test_counts_who_would_have_found_no_place(self, clock: ManualClock, settings: Settings) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"BULKHEADS": {"other": {"running": 1}}}
        with server_role():
            pool = registry.bulkhead("other")
            with pool.enter(), pool.enter():
                pass
            assert shadow.report()["pools"] == {"other": 1}
            assert "pool other: 1 would have found no place" in shadow.table(shadow.report())

    def test_of_a_site_that_is_guarded_says_that_nothing_is_in_shadow(self, settings: Settings) -> None:
        settings.RESILIENCE = RESILIENCE
        with server_role():
            assert "Nothing is in shadow" in shadow.table(shadow.report())


class TestWhereItIsSeen:
    def test_states_and_health_are_closed_and_say_what_they_would_be(self, clock: ManualClock) -> None:
        call(Outcome.FAILURE, times=3)
        assert set(registry.states().values()) == {"CLOSED"}
        service = health.report()["services"]["database"]
        assert (service["state"], service["status"], service["wouldBe"]) == ("CLOSED", "healthy", "OPEN")
        assert "breakers report" in health.report()["shadow"]

    def test_one_breaker_may_be_in_shadow_alone(self, settings: Settings) -> None:
        entry = conf.get("BREAKERS")["database"] | {"shadow": True}
        settings.RESILIENCE = RESILIENCE | {"BREAKERS": conf.get("BREAKERS") | {"database": entry}}
        with server_role():
            call(Outcome.FAILURE, times=5)
            assert not registry.breaker("database").refuses()
            assert registry.enforces()
            cache = registry.breaker("cache")
            for _ in range(5):
                cache.settle(cache.admit(), Outcome.FAILURE)
            assert cache.shown() is State.OPEN
            assert health.in_shadow() == "Calls of database are not refused, but counted if they would be."

    def test_board_and_admin_have_a_band(
        self, clock: ManualClock, admin_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("resilience.steward.start", lambda: None)
        call(Outcome.FAILURE, times=3)
        for page in ("/admin/resilience/board/", "/admin/resilience/breaker/"):
            text = admin_client.get(page).content.decode()
            assert health.in_shadow() in text
            assert "in shadow (would be OPEN)" in text

    def test_check_says_so(self) -> None:
        (found,) = [one for one in run_checks(tags=["resilience"]) if one.id == "resilience.I007"]
        assert "SHADOW" in found.msg

    def test_nobody_can_isolate_what_refuses_nothing(self, clock: ManualClock) -> None:
        with pytest.raises(OrderError, match="in shadow"):
            steer(Order("isolate", ["database"], "to see it"), who="ann")

    def test_an_opening_is_told_once_as_nothing_serious_and_is_no_outage(self, clock: ManualClock) -> None:
        notes: rules.Notes = {}

        def look() -> list[tuple[str, bool]]:
            told = rules.judge(rules.look(), notes, conf.alerts())
            return [(alert.kind, alert.serious) for alert in told]

        assert look() == []
        call(Outcome.FAILURE, times=3)
        assert look() == [("shadow", False)]
        assert look() == []
