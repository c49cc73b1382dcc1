"""When there is an alert: on edges, with counts, and once."""

import json
from collections.abc import Iterator

import pytest

from resilience import conf, registry
from resilience.alerts import rules
from resilience.alerts.channels import Alert
from resilience.alerts.rules import Notes
from resilience.journal import events
from resilience.primitives import CircuitBreaker, ManualClock, Outcome
from resilience.request import answer_counts
from resilience.testing import server_role


class Host:
    """A host whose steward looks when told to, and forgets nothing but what JSON cannot keep."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.notes: Notes = {}

    @property
    def breaker(self) -> CircuitBreaker:
        return registry.breaker("database")

    def look(self) -> list[Alert]:
        self.notes = json.loads(json.dumps(self.notes))
        return rules.judge(rules.look(), self.notes, conf.alerts())

    def told(self) -> list[str]:
        return [alert.kind for alert in self.look()]

    def fail(self, times: int) -> None:
        for _ in range(times):
            self.breaker.settle(self.breaker.admit(), Outcome.FAILURE, error=ConnectionError())

    def succeed(self) -> None:
        self.breaker.settle(self.breaker.admit(), Outcome.SUCCESS)

    def recover(self) -> None:
        self.clock.advance(15.0)
        self.succeed()


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    with server_role(clock=host.clock):
        host.look()
        yield host


class TestEarlyWarning:
    def test_comes_at_half_the_threshold_once(self, host: Host) -> None:
        host.fail(1)
        assert host.told() == []
        host.fail(1)
        (alert,) = host.look()
        assert (alert.kind, alert.breaker, alert.count) == ("warning", "database", 2)
        assert "opens after 3" in alert.text
        assert host.told() == []

    def test_comes_again_only_after_a_quiet_while(self, host: Host) -> None:
        host.fail(2)
        assert host.told() == ["warning"]
        host.clock.advance(60)  # the window has passed
        host.succeed()
        assert host.told() == []
        host.fail(2)
        assert host.told() == []
        host.clock.advance(300)
        host.succeed()
        assert host.told() == []
        host.fail(2)
        assert host.told() == ["warning"]


class TestOpened:
    def test_is_told_once_with_the_last_error(self, host: Host) -> None:
        host.fail(3)
        (alert,) = host.look()
        assert alert.kind == "opened"
        assert "ConnectionError" in alert.text
        assert host.told() == []

    def test_is_told_when_nobody_looked_before(self, host: Host) -> None:
        host.fail(3)
        host.notes = {}
        assert host.told() == ["opened"]

    def test_is_told_for_a_breaker_that_closed_before_the_look(self, host: Host) -> None:
        host.fail(3)
        host.breaker.reset(who="ada", why="")
        assert host.told() == ["opened", "recovered"]

    def test_is_not_told_of_an_isolation(self, host: Host) -> None:
        host.breaker.isolate(who="ada", why="")
        assert host.told() == []
        host.breaker.auto(who="ada", why="")
        assert host.told() == []

    def test_is_not_told_again_by_the_next_steward(self, host: Host) -> None:
        host.fail(3)
        assert host.told() == ["opened"]
        host.clock.advance(20)
        assert host.told() == []


class TestOpenLong:
    def test_is_told_after_five_minutes_of_failing_probes(self, host: Host) -> None:
        host.fail(3)
        told = []
        for _ in range(30):
            told += host.told()
            host.clock.advance(15)
            host.fail(1)
        assert told == ["opened", "open_long"]


class TestRecovered:
    def test_is_told_with_how_long_it_lasted(self, host: Host) -> None:
        host.fail(3)
        host.look()
        host.clock.advance(15)
        host.fail(1)
        assert host.told() == []
        host.recover()
        (alert,) = host.look()
        assert (alert.kind, alert.text, alert.serious) == ("recovered", "recovered after 30 s", False)
        assert host.told() == []

    def test_is_not_what_disabling_is(self, host: Host) -> None:
        host.fail(3)
        host.look()
        host.breaker.disable(who="ada", why="")
        assert host.told() == []
        host.breaker.auto(who="ada", why="")
        assert host.told() == ["recovered"]


class TestFlapping:
    def test_is_three_openings_in_five_minutes(self, host: Host) -> None:
        told = []
        for _ in range(5):
            host.fail(3)
            told += host.told()
            host.recover()
            told += host.told()
        assert (
            told
            == ["opened", "recovered"] * 2 + ["opened", "flapping", "recovered"] + ["opened", "recovered"] * 2
        )

    def test_is_not_what_happens_seldom(self, host: Host) -> None:
        told = []
        for _ in range(5):
            host.fail(3)
            told += host.told()
            host.recover()
            told += host.told()
            host.clock.advance(150)
        assert "flapping" not in told


class TestOverride:
    def test_older_than_an_hour_is_told_once(self, host: Host) -> None:
        host.breaker.disable(who="ada", why="a test")
        host.clock.advance(3599)
        assert host.told() == []
        host.clock.advance(2)
        (alert,) = host.look()
        assert (alert.kind, alert.text) == ("override", "disabled by ada for 1.0 h: a test")
        assert host.told() == []

    def test_that_was_given_anew_is_another(self, host: Host) -> None:
        for _ in range(2):
            host.breaker.disable(who="ada", why="")
            host.clock.advance(3601)
            assert host.told() == ["override"]


class TestServed:
    @pytest.mark.parametrize("source", ["static", "mock"])
    def test_is_told_when_it_begins_with_how_many(self, host: Host, source: str) -> None:
        registry.store().counters.add("responses", source, amount=7)
        (alert,) = host.look()
        assert (alert.kind, alert.count) == (source, 7)

    def test_is_one_alert_as_long_as_it_goes_on(self, host: Host) -> None:
        told = []
        for _ in range(20):
            registry.store().counters.add("responses", "static")
            told += host.told()
            host.clock.advance(60)
        assert told == ["static"]
        host.clock.advance(301)
        registry.store().counters.add("responses", "static")
        assert host.told() == ["static"]

    def test_is_nothing_for_live_answers(self, host: Host) -> None:
        assert not set(answer_counts.TIERS) - {"fresh", "live", "cached", "static", "mock"}
        for source in ("live", "fresh", "cached", "refused"):
            registry.store().counters.add("responses", source)
        assert host.told() == []


class TestPass:
    def test_is_told_with_who_used_it(self, host: Host) -> None:
        for _ in range(2):
            events.record("pass", who="ada")
        (alert,) = host.look()
        assert (alert.kind, alert.count) == ("pass", 2)
        assert alert.text.endswith("last by ada")
        assert host.told() == []


class TestRun:
    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        sent: list[str] = []
        monkeypatch.setattr(rules, "send", lambda alert: sent.append(alert.kind))
        return sent

    @pytest.fixture(autouse=True)
    def host(self) -> Iterator[Host]:
        host = Host()
        with server_role():
            yield host

    def test_sends_what_it_finds_once(self, host: Host, sent: list[str]) -> None:
        rules.run(1)
        host.fail(3)
        for _ in range(3):
            rules.run(1)
        assert sent == ["opened"]

    def test_repeats_nothing_while_it_cannot_remember(
        self, host: Host, sent: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host.fail(3)
        with monkeypatch.context() as patch:
            patch.setenv("RESILIENCE_EVENTS_DIR", "/proc/nowhere")
            for _ in range(3):
                with pytest.raises(OSError, match="nowhere"):
                    rules.run(1)
        rules.run(1)
        rules.run(1)
        assert sent == ["opened"]


class TestWedged:
    def test_is_told_once_for_all_since_the_last_look(self, host: Host) -> None:
        for process in ("worker 1, process 7", "worker 2, process 8"):
            events.record("wedged", why="it was stopped", process=process)
        (alert,) = host.look()
        assert (alert.kind, alert.count, alert.serious) == ("wedged", 2, True)
        assert host.told() == []
