"""What happens between a look and the write that follows it, and other things that are rare."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from resilience.primitives import (
    Admission,
    BreakerConfig,
    BreakerOpenError,
    CircuitBreaker,
    HostStore,
    LocalStore,
    Outcome,
    State,
    refusing,
)
from resilience.primitives.rules import Permit, Record, Totals, open_time, with_permit
from resilience.primitives.store.row import TROUBLE

from .conftest import Bench


class TestBetweenLookAndWrite:
    def test_a_breaker_isolated_meanwhile_gives_no_permit(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        breaker = bench.due()

        def isolated(*_: object) -> None:
            breaker.isolate(who="anna", why="")

        monkeypatch.setattr(refusing, "_why_no_permit", isolated)
        with pytest.raises(BreakerOpenError):
            breaker.admit()
        assert breaker.snapshot().isolated

    def test_of_an_order_that_has_ended_meanwhile_a_probe_takes_no_notice(self, bench: Bench) -> None:
        breaker = bench.due()
        breaker.isolate(who="anna", why="", until=bench.clock.time() + 1)
        bench.clock.advance(1)
        assert breaker.call(bench.dependency) == "answer"

    def test_an_order_that_has_ended_is_over_even_if_nobody_can_write_that(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        breaker = bench.breaker()
        breaker.call(bench.dependency)
        breaker.isolate(who="anna", why="", until=bench.clock.time() + 1)
        bench.clock.advance(1)
        monkeypatch.setattr(type(breaker._host.store.lock), "take", lambda *arguments: None)
        assert breaker.call(bench.dependency) == "answer"
        assert breaker.shown() is State.CLOSED

    def test_a_failure_counted_meanwhile_is_among_those_that_open_it(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        breaker = bench.breaker()
        under_way = breaker.admit()
        bench.fails(breaker, 2)
        window = breaker._host.window
        assert window is not None
        real = window.add_failure

        def beside_another(now: float) -> int:
            trouble = real(now)
            monkeypatch.setattr(window, "add_failure", real)
            breaker.settle(under_way, Outcome.FAILURE, error=ConnectionError())
            return trouble

        monkeypatch.setattr(window, "add_failure", beside_another)
        bench.fails(breaker)
        assert [told.reason for told in bench.heard] == ["4 failures and 0 slow of 4 calls"]
        assert bench.dependency.calls == 3
        with pytest.raises(BreakerOpenError):
            breaker.admit()

    def test_of_many_that_fail_at_once_each_is_counted_or_late_and_one_opens_it(
        self, host_store: HostStore
    ) -> None:
        callers = 12
        bench = Bench(host_store)
        breaker = bench.breaker()
        admissions = [breaker.admit() for _ in range(callers)]
        together = threading.Barrier(callers)

        def fail(admission: Admission) -> None:
            together.wait()
            breaker.settle(admission, Outcome.FAILURE, error=ConnectionError())

        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(fail, admissions))
        (opened,) = bench.heard
        named = int(opened.reason.split()[0])
        counted = breaker.calls()["call", "failure"]
        assert 3 <= named <= counted <= callers
        assert counted + breaker.calls().get(("call", "late"), 0) == callers

    def test_a_place_that_another_thread_found_meanwhile_is_kept(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        breaker = bench.breaker()
        cell = breaker._host
        real = cell.store.refresh
        found: list[object] = []

        def beside_another() -> None:
            monkeypatch.setattr(cell.store, "refresh", real)
            breaker.settle(breaker.admit(), Outcome.SUCCESS)
            found.append(cell.window)

        monkeypatch.setattr(cell.store, "refresh", beside_another)
        breaker.settle(breaker.admit(), Outcome.SUCCESS)
        assert found == [cell.window]
        assert breaker.snapshot().successes == 2

    def test_a_breaker_reset_meanwhile_does_not_open(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        breaker = bench.breaker()
        bench.fails(breaker, 2)
        window = breaker._host.window
        assert window is not None
        real = window.totals

        def reset(now: float) -> Totals:
            totals = real(now)
            breaker.reset()
            return totals

        monkeypatch.setattr(window, "totals", reset)
        bench.fails(breaker)
        assert breaker.shown() is State.CLOSED

    def test_a_breaker_that_opened_meanwhile_is_not_asked_again(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        breaker = bench.breaker()
        bench.fails(breaker, 2)
        window = breaker._host.window
        assert window is not None
        real = window.add_failure

        def isolated(now: float) -> int:
            trouble = real(now)
            breaker.isolate(who="anna", why="")
            return trouble

        monkeypatch.setattr(window, "add_failure", isolated)
        bench.fails(breaker)
        assert [heard.after for heard in bench.heard] == [State.OPEN]
        assert breaker.snapshot().isolated

    def test_a_busy_store_delays_an_opening_to_the_next_failure(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        breaker = bench.breaker()
        bench.fails(breaker, 2)
        with monkeypatch.context() as patch:
            patch.setattr(type(breaker._host.store.lock), "take", lambda *arguments: None)
            bench.fails(breaker)
            assert breaker.shown() is State.CLOSED
            assert not breaker.isolate(who="anna", why="")
            assert not breaker.reset()
        bench.fails(breaker)
        assert breaker.shown() is State.OPEN
        assert breaker.failure_count == 4

    def test_a_busy_store_gives_no_permit(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        breaker = bench.due()
        with monkeypatch.context() as patch:
            patch.setattr(type(breaker._host.store.lock), "take", lambda *arguments: None)
            with pytest.raises(BreakerOpenError, match="a probe is under way"):
                breaker.admit()
        assert breaker.call(bench.dependency) == "answer"


class TestPermits:
    def test_are_not_given_before_the_open_time_is_over(self) -> None:
        record = Record(state=State.OPEN, until=100.0)
        permit = Permit(1, 200.0, 0)
        config = BreakerConfig()
        assert with_permit(record, config, 99.9, permit, lambda process: True) is None
        given = with_permit(record, config, 100.0, permit, lambda process: True)
        assert given is not None
        assert given.permits == (permit,)

    def test_are_not_given_by_a_closed_breaker(self) -> None:
        permit = Permit(1, 200.0, 0)
        assert with_permit(Record(), BreakerConfig(), 100.0, permit, lambda process: True) is None


class TestRefusals:
    def test_at_one_look_and_at_a_closer_one_say_the_same(self, bench: Bench) -> None:
        breaker = bench.opened()
        told = []
        for _ in range(3):
            with pytest.raises(BreakerOpenError) as refusal:
                breaker.admit()
            told.append((refusal.value.reason, refusal.value.retry_after, refusal.value.name))
        assert told == [("open", 15.0, "database")] * 3

    def test_are_counted_each_once(self, bench: Bench) -> None:
        breaker = bench.opened()
        for _ in range(25):
            with pytest.raises(BreakerOpenError):
                breaker.admit()
            bench.clock.advance(0.5)
        assert breaker.snapshot().rejected == 25

    def test_go_on_while_the_breaker_of_a_busy_process_is_looked_at_each_second(
        self, host_store: HostStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench = Bench(host_store)
        breaker = bench.opened()
        looks = []
        monkeypatch.setattr(host_store, "refresh", lambda: looks.append(bench.clock.monotonic()))
        for _ in range(40):
            with pytest.raises(BreakerOpenError):
                breaker.admit()
            bench.clock.advance(0.25)
        assert 9 <= len(looks) <= 14


class TestPatience:
    """The rule is asked again only when its answer may have changed."""

    def asked(self, breaker: CircuitBreaker, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        window = breaker._host.window
        assert window is not None
        real, asked = window.totals, []

        def totals(now: float) -> Totals:
            asked.append(now)
            return real(now)

        monkeypatch.setattr(window, "totals", totals)
        return asked

    def test_spares_most_questions_under_noise(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        breaker = bench.breaker(window=1_000.0)
        breaker.call(bench.dependency)
        asked = self.asked(breaker, monkeypatch)
        for _ in range(100):
            for _ in range(9):
                breaker.call(bench.dependency)
            bench.fails(breaker)
        assert len(asked) <= 8
        assert breaker.shown() is State.CLOSED

    @pytest.mark.parametrize("rate", [0.25, 0.5, 0.75, 1.0])
    def test_never_delays_an_opening(self, bench: Bench, rate: float) -> None:
        breaker = bench.breaker(failure_rate=rate, minimum_volume=20, slow_after=1.0)
        admission = breaker.admit()
        for _ in range(10):
            breaker.settle(admission, Outcome.SUCCESS)
        calls = trouble = 10
        trouble = 0
        while breaker.shown() is State.CLOSED and calls < 1_000:
            # Slow calls: no run of failures comes first.
            breaker.settle(admission, Outcome.SLOW)
            calls, trouble = calls + 1, trouble + 1
            must = trouble >= 3 and calls >= 20 and trouble >= rate * calls
            assert (breaker.shown() is State.OPEN) is must

    def test_trouble_below_the_threshold_asks_nothing(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        breaker = bench.breaker()
        breaker.call(bench.dependency)
        asked = self.asked(breaker, monkeypatch)
        bench.fails(breaker, 2)
        assert asked == []
        bench.fails(breaker)
        assert len(asked) == 1


class TestCells:
    def test_of_commands_count_for_nothing(self, host_store: HostStore) -> None:
        bench = Bench(host_store)
        host_store.role = "command"
        breaker = bench.breaker()
        breaker.call(bench.dependency)
        assert breaker._host.window is None
        assert breaker.snapshot().calls == 0

    def test_of_breakers_that_are_gone_are_not_told(self) -> None:
        store = LocalStore()
        CircuitBreaker(store=store, name="gone")
        gc.collect()
        kept = CircuitBreaker(store=store, name="kept")
        assert kept.call(int) == 0
        store.role = "command"
        assert kept.refuses() is False
        assert kept._host.window is None

    def test_count_again_what_could_not_be_counted(
        self, host_store: HostStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench = Bench(host_store)
        breaker = bench.breaker()
        breaker.call(bench.dependency)
        with monkeypatch.context() as patch:
            patch.setattr(type(host_store.lock), "take", lambda *arguments: None)
            breaker.settle(breaker.admit(), Outcome.ANSWERED, operation="query")
            breaker.settle(breaker.admit(), Outcome.ANSWERED, operation="query")
        assert ("query", "answered") not in breaker.calls()
        bench.clock.advance(1.1)
        breaker.call(bench.dependency)
        breaker.settle(breaker.admit(), Outcome.ANSWERED, operation="query")
        assert breaker.calls()["query", "answered"] == 1

    def test_forget_the_row_of_another_window(self, host_store: HostStore) -> None:
        bench = Bench(host_store)
        breaker = bench.breaker()
        bench.fails(breaker, 2)
        row = host_store.layout.rows.at
        assert host_store.words[row + TROUBLE] == 2
        breaker.reset()
        breaker.call(bench.dependency)
        assert host_store.words[row + TROUBLE] == 0

    def test_classify_as_they_are_told(self) -> None:
        breaker = CircuitBreaker(classify=lambda error: Outcome.SLOW)
        assert breaker.classify(OSError()) is Outcome.SLOW
        assert CircuitBreaker().classify(OSError()) is Outcome.FAILURE


def test_an_open_time_beyond_all_numbers_ends_too() -> None:
    config = BreakerConfig(recovery_timeout=10, backoff=1e300, max_open=3600)
    assert open_time(config, 5_000, 0.0) == 3600
