"""A wall clock that is set changes no duration: forward or back, by an hour or a day, in an outage.

Of the kind: alerts that come after a while, or again after one; how long an outage lasted, in the alert, on
the board and in the history, and in which order it happened; how old an order is; the race of two refreshes.
What hosts share goes by the wall clock (stored answers, tokens, keys, what is kept for days), and where that
matters is bounded on both sides: see `Stored.is_fresh`.
"""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from resilience import conf, registry
from resilience.alerts import rules
from resilience.alerts.rules import Notes
from resilience.journal.reading import FromJournal
from resilience.observe import health, history
from resilience.primitives import CircuitBreaker, ManualClock, Outcome
from resilience.testing import server_role
from zenow.accounts import refresh

HOUR, DAY = 3_600.0, 86_400.0
pytestmark = pytest.mark.parametrize("step", [-DAY, -HOUR, HOUR, DAY])


class Host:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.memory: Notes = {}

    @property
    def breaker(self) -> CircuitBreaker:
        return registry.breaker("database")

    def fail(self, times: int) -> None:
        for _ in range(times):
            self.breaker.settle(self.breaker.admit(), Outcome.FAILURE, error=ConnectionError())

    def recover(self) -> None:
        self.breaker.settle(self.breaker.admit(), Outcome.SUCCESS)

    def told(self) -> list[str]:
        """Look, as the steward of any process does: what it knows has been JSON."""
        self.memory = json.loads(json.dumps(self.memory))
        return [str(one) for one in rules.judge(rules.look(), self.memory, conf.alerts())]

    def told_within(self, seconds: int) -> list[str]:
        """Look once a second."""
        found = []
        for _ in range(seconds):
            self.clock.advance(1.0)
            found += self.told()
        return found


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    with server_role(clock=host.clock):
        host.told()
        yield host


def test_an_outage_is_told_of_in_time_and_lasts_as_long_as_it_did(host: Host, step: float) -> None:
    host.fail(3)
    assert len(host.told()) == 1
    host.clock.step(step)
    assert host.told_within(295) == []
    assert host.told_within(10) == ["database: has been open for over 5 min"]
    host.recover()
    assert host.told() == ["database: recovered after 305 s"]


def test_an_outage_that_begins_after_it_is_told(host: Host, step: float) -> None:
    host.clock.step(step)
    host.fail(3)
    assert len(host.told()) == 1
    host.clock.advance(15.0)
    host.recover()
    assert host.told() == ["database: recovered after 15 s"]


def test_stand_ins_are_told_of_again_after_a_quiet_while(host: Host, step: float) -> None:
    registry.store().counters.add("responses", "static")
    assert len(host.told()) == 1
    host.clock.step(step)
    registry.store().counters.add("responses", "static")
    assert host.told() == []
    host.clock.advance(301.0)
    registry.store().counters.add("responses", "static")
    assert len(host.told()) == 1


def test_a_warning_is_told_again_after_a_quiet_while(host: Host, step: float) -> None:
    host.fail(2)
    assert len(host.told()) == 1
    host.clock.step(step)
    host.clock.advance(301.0)
    host.recover()
    host.told()
    host.fail(2)
    assert len(host.told()) == 1


def test_what_flaps_is_counted_in_five_real_minutes(host: Host, step: float) -> None:
    found: list[str] = []
    for _ in range(3):
        host.fail(3)
        found += host.told()
        host.clock.advance(15.0)
        host.clock.step(step)
        host.recover()
        found += host.told()
    assert [one for one in found if "flaps" in one] == ["database: flaps: opened 3 times in 5 min"]


def test_an_order_is_as_old_as_it_is(host: Host, step: float) -> None:
    host.breaker.disable(who="ada", why="a test")
    host.clock.step(step)
    host.clock.advance(3_599.0)
    assert host.told() == []
    host.clock.advance(2.0)
    assert host.told() == ["database: disabled by ada for 1.0 h: a test"]


def test_an_order_ends_in_time(host: Host, step: float) -> None:
    host.breaker.isolate(who="ada", why="", until=host.clock.time() + 60.0)
    host.clock.step(step)
    host.clock.advance(59.0)
    assert host.breaker.shown() == "OPEN"
    host.clock.advance(1.0)
    assert host.breaker.shown() == "CLOSED"


def test_operators_see_how_long_it_has_been_so(host: Host, step: float) -> None:
    host.fail(3)
    host.clock.step(step)
    host.clock.advance(7.0)
    shown = health.breaker(host.breaker.snapshot())
    assert (shown["lasted"], shown["lastErrorAge"]) == (7.0, 7.0)


def test_the_history_has_the_outage_in_order_and_as_long_as_it_was(
    host: Host, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "read", lambda ask: (ask(FromJournal()), "journal"))
    host.clock.step(timezone.now().timestamp() - host.clock.time())  # the history is asked by the real clock
    host.fail(3)
    host.clock.advance(40.0)
    host.clock.step(step)
    host.fail(1)  # a probe
    host.clock.advance(60.0)
    host.recover()
    (outage,) = history.summary("month")["outages"]
    assert (outage["breaker"], outage["seconds"]) == ("database", 100.0)
    assert outage["ended"] is not None


@pytest.mark.django_db
def test_a_token_that_was_used_before_ends_its_family(step: float) -> None:
    now = timezone.now()
    first = refresh.issue(User.objects.create_user("ada"), now=now)
    _, second = refresh.rotate(first, now=now)
    with pytest.raises(refresh.RefreshError, match="used before"):
        refresh.rotate(first, now=now + timedelta(seconds=step))
    with pytest.raises(refresh.RefreshError):
        refresh.rotate(second, now=now + timedelta(seconds=step))
