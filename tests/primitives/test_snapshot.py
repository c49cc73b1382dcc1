"""What a snapshot says, field by field, in each state."""

import logging

import pytest

from .conftest import Bench


class TestSnapshot:
    def test_of_a_breaker_without_calls(self, bench: Bench) -> None:
        found = bench.breaker().snapshot()
        assert (found.calls, found.failure_rate, found.retry_after) == (0, 0.0, 0.0)
        assert (found.generation, found.since, found.openings) == (0, None, 0)

    def test_of_an_open_one_tells_since_when_and_for_how_long(self, bench: Bench) -> None:
        opened_at = bench.clock.time()
        breaker = bench.opened()
        bench.clock.advance(4.0)
        found = breaker.snapshot()
        assert (found.since, found.retry_after) == (opened_at, 11.0)
        assert (found.generation, found.openings, found.failure_rate) == (1, 1, 1.0)

    def test_of_one_that_is_due_tells_no_wait(self, bench: Bench) -> None:
        assert bench.due().snapshot().retry_after == 0.0

    @pytest.mark.parametrize("lasts", [60.0, None])
    def test_of_an_isolated_one_tells_the_order(self, bench: Bench, lasts: float | None) -> None:
        breaker = bench.breaker()
        ordered_at = bench.clock.time()
        until = None if lasts is None else ordered_at + lasts
        breaker.isolate(who="ann", why="repairs", until=until)
        bench.clock.advance(20.0)
        found = breaker.snapshot()
        assert found.override is not None
        assert (found.override.since, found.override.until) == (ordered_at, until)
        assert found.retry_after == (15.0 if lasts is None else 40.0)
        assert found.since is None

    def test_of_one_that_was_reset_tells_when(self, bench: Bench) -> None:
        breaker = bench.opened()
        bench.clock.advance(4.0)
        breaker.reset(who="ann", why="repaired")
        assert breaker.snapshot().since == bench.clock.time()


class TestLog:
    def test_tells_what_changed_and_why(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        breaker = bench.breaker()

        def deaf(_: object) -> None:
            raise RuntimeError

        breaker.on_transition(deaf)
        with caplog.at_level(logging.INFO):
            bench.fails(breaker, 3)
        assert caplog.messages == [
            "database fails: builtins.ConnectionError",
            "database: CLOSED to OPEN, 3 failures and 0 slow of 3 calls; builtins.ConnectionError",
            "a listener of breaker database failed",
        ]


class TestLastFailure:
    def test_is_forgotten_with_the_next_success(self, bench: Bench) -> None:
        breaker = bench.breaker()
        bench.fails(breaker)
        assert isinstance(breaker.last_failure, ConnectionError)
        breaker.call(bench.dependency)
        assert breaker.last_failure is None
