"""What operators order: isolate, disable, reset, back to automatic."""

import pytest

from resilience.primitives import BreakerOpenError, Outcome, State

from .conftest import Bench


class TestIsolated:
    def test_refuses_everything_and_shows_as_open(self, bench: Bench) -> None:
        breaker = bench.breaker()
        assert breaker.isolate(who="anna", why="the disk is full")
        with pytest.raises(BreakerOpenError, match="isolated by an operator") as refusal:
            breaker.call(bench.dependency)
        assert refusal.value.retry_after == 15.0
        found = breaker.snapshot()
        assert (found.state, found.isolated, found.disabled) == (State.OPEN, True, False)
        assert found.override is not None
        assert (found.override.kind, found.override.who, found.override.why) == (
            "isolated",
            "anna",
            "the disk is full",
        )
        assert (found.override.since, found.override.until) == (bench.clock.time(), None)
        assert breaker.refuses()
        assert breaker.state == "open"

    def test_stays_so_however_long_it_takes(self, bench: Bench) -> None:
        breaker = bench.breaker()
        breaker.isolate(who="anna", why="")
        bench.clock.advance(10_000)
        assert breaker.refuses()
        assert breaker.snapshot().retry_after == 15.0

    def test_ends_by_itself(self, bench: Bench) -> None:
        breaker = bench.breaker()
        breaker.isolate(who="anna", why="", until=bench.clock.time() + 60)
        assert breaker.snapshot().retry_after == pytest.approx(60)
        bench.clock.advance(59.9)
        with pytest.raises(BreakerOpenError) as refusal:
            breaker.admit()
        assert refusal.value.retry_after == pytest.approx(0.1)
        bench.clock.advance(0.2)
        assert breaker.shown() is State.CLOSED
        assert breaker.snapshot().override is None
        assert breaker.call(bench.dependency) == "answer"
        assert [heard.order for heard in bench.heard] == ["isolate", "auto"]

    def test_goes_back_to_what_was_below(self, bench: Bench) -> None:
        breaker = bench.opened()
        breaker.isolate(who="anna", why="")
        bench.clock.advance(20)
        assert breaker.shown() is State.OPEN
        assert breaker.auto(who="anna", why="done")
        assert breaker.shown() is State.HALF_OPEN
        breaker.call(bench.dependency)
        assert breaker.shown() is State.CLOSED

    def test_keeps_the_window_of_a_closed_breaker(self, bench: Bench) -> None:
        breaker = bench.breaker()
        bench.fails(breaker, 2)
        breaker.isolate(who="anna", why="")
        breaker.auto(who="anna", why="")
        bench.fails(breaker)
        assert breaker.shown() is State.OPEN

    def test_takes_the_permit_of_a_probe_under_way(self, bench: Bench) -> None:
        breaker = bench.due()
        probe = breaker.admit()
        breaker.isolate(who="anna", why="")
        breaker.settle(probe, Outcome.SUCCESS)
        breaker.auto(who="anna", why="")
        assert breaker.shown() is State.HALF_OPEN


class TestDisabled:
    def test_refuses_nothing_and_goes_on_measuring(self, bench: Bench) -> None:
        breaker = bench.breaker()
        assert breaker.disable(who="anna", why="it lies")
        bench.fails(breaker, 10)
        breaker.call(bench.dependency)
        found = breaker.snapshot()
        assert (found.state, found.isolated, found.disabled) == (State.CLOSED, False, True)
        assert (found.failures, found.successes) == (10, 1)
        assert found.override is not None
        assert found.override.kind == "disabled"
        assert not breaker.refuses()

    def test_lets_calls_through_an_open_breaker(self, bench: Bench) -> None:
        breaker = bench.opened()
        breaker.disable(who="anna", why="")
        assert breaker.call(bench.dependency) == "answer"

    def test_opens_with_the_next_failure_once_it_ends_in_an_outage(self, bench: Bench) -> None:
        breaker = bench.breaker()
        breaker.disable(who="anna", why="", until=bench.clock.time() + 5)
        bench.fails(breaker, 10)
        bench.clock.advance(6)
        bench.fails(breaker)
        assert breaker.shown() is State.OPEN


class TestReset:
    def test_closes_and_forgets_the_window(self, bench: Bench) -> None:
        breaker = bench.opened()
        assert breaker.reset(who="anna", why="it is back")
        found = breaker.snapshot()
        assert (found.state, found.calls, found.openings) == (State.CLOSED, 0, 0)
        assert breaker.last_failure is None
        bench.fails(breaker, 2)
        assert breaker.shown() is State.CLOSED

    def test_forgets_what_was_measured_while_disabled(self, bench: Bench) -> None:
        breaker = bench.opened()
        breaker.disable(who="anna", why="")
        breaker.call(bench.dependency)
        breaker.reset()
        assert breaker.snapshot().calls == 0

    def test_ends_an_order(self, bench: Bench) -> None:
        breaker = bench.breaker()
        breaker.isolate(who="anna", why="")
        breaker.reset()
        assert breaker.call(bench.dependency) == "answer"
        assert breaker.snapshot().override is None

    def test_of_a_closed_one_forgets_its_window_too(self, bench: Bench) -> None:
        breaker = bench.breaker()
        bench.fails(breaker, 2)
        breaker.reset()
        bench.fails(breaker, 2)
        assert breaker.shown() is State.CLOSED
        assert breaker.snapshot().failures == 2


class TestAuto:
    def test_without_an_order_changes_nothing(self, bench: Bench) -> None:
        breaker = bench.opened()
        generation = breaker.snapshot().generation
        assert not breaker.auto(who="anna", why="")
        assert breaker.snapshot().generation == generation


class TestListeners:
    def test_hear_each_transition_once(self, bench: Bench) -> None:
        breaker = bench.due()
        bench.fails(breaker)
        bench.clock.advance(15)
        breaker.call(bench.dependency)
        assert [(heard.before, heard.after) for heard in bench.heard] == [
            (State.CLOSED, State.OPEN),
            (State.OPEN, State.HALF_OPEN),
            (State.HALF_OPEN, State.OPEN),
            (State.OPEN, State.HALF_OPEN),
            (State.HALF_OPEN, State.CLOSED),
        ]
        generations = [heard.generation for heard in bench.heard]
        assert generations == sorted(set(generations))
        assert bench.heard[0].reason == "3 failures and 0 slow of 3 calls"
        assert bench.heard[-1].at == bench.clock.time()
        assert {heard.name for heard in bench.heard} == {"database"}

    def test_hear_who_ordered_why_and_until_when(self, bench: Bench) -> None:
        breaker = bench.breaker()
        until = bench.clock.time() + 60
        breaker.isolate(who="anna", why="moving", until=until)
        breaker.disable(who="berta", why="moved")
        breaker.reset(who="carla", why="done")
        heard = [(h.order, h.who, h.why, h.until) for h in bench.heard]
        assert heard == [
            ("isolate", "anna", "moving", pytest.approx(until)),
            ("disable", "berta", "moved", None),
            ("reset", "carla", "done", None),
        ]
        assert [(h.before, h.after) for h in bench.heard] == [
            (State.CLOSED, State.OPEN),
            (State.OPEN, State.CLOSED),
            (State.CLOSED, State.CLOSED),
        ]

    def test_that_raise_are_logged_and_harm_nobody(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        breaker = bench.breaker()

        def broken(transition: object) -> None:
            raise RuntimeError("listener")

        breaker.on_transition(broken)
        breaker.on_transition(bench.heard.append)
        bench.fails(breaker, 3)
        assert len(bench.heard) == 2
        assert "a listener of breaker database failed" in caplog.text

    def test_may_ask_the_breaker_itself(self, bench: Bench) -> None:
        breaker = bench.breaker()
        seen: list[State] = []
        breaker.on_transition(lambda transition: seen.append(breaker.shown()))
        bench.fails(breaker, 3)
        assert seen == [State.OPEN]

    def test_are_not_told_of_permits_given_back(self, bench: Bench) -> None:
        breaker = bench.due()
        for _ in range(3):
            breaker.settle(breaker.admit(), Outcome.IGNORED)
        assert [heard.after for heard in bench.heard] == [State.OPEN, State.HALF_OPEN]
