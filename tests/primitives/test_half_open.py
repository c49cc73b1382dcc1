"""Half-open: so many probes as may be, on the whole host, and what they come to."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.primitives import (
    Admission,
    BreakerOpenError,
    HostStore,
    Outcome,
    State,
    probing,
)
from resilience.primitives.store import Layout

from .conftest import SMALL, Bench


class TestHalfOpen:
    def test_lets_exactly_one_probe_through(self, bench: Bench) -> None:
        breaker = bench.due()
        probe = breaker.admit()
        for _ in range(10):
            with pytest.raises(BreakerOpenError, match="a probe is under way"):
                breaker.admit()
        assert breaker.shown() is State.HALF_OPEN
        assert breaker.refuses()
        breaker.settle(probe, Outcome.SUCCESS)
        assert breaker.shown() is State.CLOSED

    def test_lets_exactly_one_of_many_threads_through(self, bench: Bench) -> None:
        breaker = bench.due()
        barrier = threading.Barrier(8)
        admitted: list[Admission] = []

        def ask() -> None:
            barrier.wait()
            with contextlib.suppress(BreakerOpenError):
                admitted.append(breaker.admit())

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(admitted) == 1

    def test_lets_as_many_through_as_it_is_told(self, bench: Bench) -> None:
        breaker = bench.due(half_open_max_calls=3)
        probes = [breaker.admit() for _ in range(3)]
        with pytest.raises(BreakerOpenError):
            breaker.admit()
        breaker.settle(probes[0], Outcome.IGNORED)
        assert breaker.admit().permit not in [probe.permit for probe in probes]

    @pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.ANSWERED])
    def test_an_answer_closes_and_forgets_the_window(self, bench: Bench, outcome: Outcome) -> None:
        breaker = bench.due()
        breaker.settle(breaker.admit(), outcome)
        found = breaker.snapshot()
        assert (found.state, found.calls, found.openings) == (State.CLOSED, 0, 0)
        assert breaker.failure_count == 0

    @pytest.mark.parametrize("outcome", [Outcome.FAILURE, Outcome.SLOW])
    def test_a_failure_opens_again_for_the_same_time(self, bench: Bench, outcome: Outcome) -> None:
        breaker = bench.due()
        breaker.settle(breaker.admit(), outcome)
        found = breaker.snapshot()
        assert (found.state, found.retry_after) == (State.OPEN, 15.0)
        assert breaker.failure_count == 4

    def test_what_says_nothing_gives_the_permit_back_and_moves_nothing(self, bench: Bench) -> None:
        breaker = bench.due()
        generation = None
        for _ in range(3):
            probe = breaker.admit()
            assert generation in (None, probe.generation)
            generation = probe.generation
            breaker.settle(probe, Outcome.IGNORED)
            assert breaker.shown() is State.HALF_OPEN
            assert not breaker.refuses()

    def test_an_interrupt_gives_the_permit_back(self, bench: Bench) -> None:
        breaker = bench.due()
        bench.dependency.error = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            breaker.call(bench.dependency)
        bench.dependency.error = None
        assert breaker.call(bench.dependency) == "answer"
        assert breaker.shown() is State.CLOSED

    def test_needs_as_many_successes_as_it_is_told(self, bench: Bench) -> None:
        breaker = bench.due(success_threshold=2)
        breaker.call(bench.dependency)
        assert breaker.shown() is State.HALF_OPEN
        breaker.call(bench.dependency)
        assert breaker.shown() is State.CLOSED

    def test_counts_successes_anew_after_each_failure(self, bench: Bench) -> None:
        breaker = bench.due(success_threshold=2)
        breaker.call(bench.dependency)
        bench.fails(breaker)
        bench.clock.advance(15)
        breaker.call(bench.dependency)
        assert breaker.shown() is State.HALF_OPEN

    def test_the_first_failure_of_several_probes_decides(self, bench: Bench) -> None:
        breaker = bench.due(half_open_max_calls=2, success_threshold=2)
        first, second = breaker.admit(), breaker.admit()
        breaker.settle(first, Outcome.FAILURE)
        breaker.settle(second, Outcome.SUCCESS)
        assert breaker.shown() is State.OPEN

    def test_one_admission_has_one_say(self, bench: Bench) -> None:
        breaker = bench.due(success_threshold=2)
        probe = breaker.admit()
        breaker.settle(probe, Outcome.SUCCESS)
        breaker.settle(probe, Outcome.SUCCESS)
        assert breaker.shown() is State.HALF_OPEN

    def test_the_calls_after_the_probe_of_one_admission_do_not_count(self, bench: Bench) -> None:
        breaker = bench.due()
        probe = breaker.admit()
        breaker.settle(probe, Outcome.SUCCESS)
        for _ in range(5):
            breaker.settle(probe, Outcome.FAILURE)
        assert breaker.snapshot().calls == 0
        assert breaker.shown() is State.CLOSED


class TestPermits:
    def test_of_a_probe_that_hangs_is_free_after_its_time(self, bench: Bench) -> None:
        breaker = bench.due(permit_timeout=2.0)
        breaker.admit()
        bench.clock.advance(1.9)
        with pytest.raises(BreakerOpenError) as refusal:
            breaker.admit()
        assert refusal.value.retry_after == pytest.approx(0.1)
        bench.clock.advance(0.1)
        breaker.settle(breaker.admit(), Outcome.SUCCESS)
        assert breaker.shown() is State.CLOSED

    def test_that_somebody_else_took_over_has_no_say(self, bench: Bench) -> None:
        breaker = bench.due(permit_timeout=2.0)
        hung = breaker.admit()
        bench.clock.advance(2.0)
        breaker.admit()
        breaker.settle(hung, Outcome.SUCCESS)
        assert breaker.shown() is State.HALF_OPEN
        breaker.settle(hung, Outcome.FAILURE)
        assert breaker.shown() is State.HALF_OPEN

    def test_that_nobody_took_over_still_has(self, bench: Bench) -> None:
        breaker = bench.due(permit_timeout=2.0)
        late = breaker.admit()
        bench.clock.advance(60.0)
        breaker.settle(late, Outcome.SUCCESS)
        assert breaker.shown() is State.CLOSED

    def test_of_a_dead_process_is_free_at_once(self, host_store: HostStore) -> None:
        bench = Bench(host_store)
        breaker = bench.due()
        other = HostStore(host_store.path.parent, "test", role="server", create=False, layout=SMALL)
        there = Bench(other)
        there.clock = bench.clock
        there.breaker().admit()
        with pytest.raises(BreakerOpenError):
            breaker.admit()
        other.close()
        breaker.settle(breaker.admit(), Outcome.SUCCESS)
        assert breaker.shown() is State.CLOSED


class TestTheStewardsProbe:
    @pytest.fixture
    def steward(self, host_store: HostStore) -> Iterator[HostStore]:
        other = HostStore(host_store.path.parent, "test", role="server", create=False, layout=SMALL)
        yield other
        other.close()

    @pytest.fixture
    def bench(self, host_store: HostStore) -> Bench:
        return Bench(host_store)

    def test_is_the_only_one_while_it_lives(self, bench: Bench, steward: HostStore) -> None:
        breaker = bench.due(probed=True)
        assert steward.lease.take(bench.clock.monotonic()) == 1
        with pytest.raises(BreakerOpenError, match="waiting for the steward") as refusal:
            breaker.admit()
        assert refusal.value.retry_after == 1.0
        assert breaker.refuses()
        with probing():
            assert not breaker.refuses()
            breaker.settle(breaker.admit(), Outcome.SUCCESS)
        assert breaker.shown() is State.CLOSED

    def test_is_not_waited_for_once_its_lease_is_two_seconds_old(
        self, bench: Bench, steward: HostStore
    ) -> None:
        breaker = bench.due(probed=True)
        steward.lease.take(bench.clock.monotonic())
        bench.clock.advance(1.99)
        assert breaker.refuses()
        bench.clock.advance(0.01)
        assert breaker.call(bench.dependency) == "answer"

    def test_is_not_waited_for_once_it_is_dead(self, bench: Bench, steward: HostStore) -> None:
        breaker = bench.due(probed=True)
        steward.lease.take(bench.clock.monotonic())
        steward.close()
        assert breaker.call(bench.dependency) == "answer"

    def test_is_not_waited_for_where_none_is_sent(self, bench: Bench, steward: HostStore) -> None:
        breaker = bench.due(probed=False)
        steward.lease.take(bench.clock.monotonic())
        assert breaker.call(bench.dependency) == "answer"

    def test_is_not_waited_for_in_a_process_of_its_own(self) -> None:
        bench = Bench(None)
        breaker = bench.due(probed=True)
        assert breaker.call(bench.dependency) == "answer"


def test_a_record_has_room_for_all_permits_and_an_order(tmp_path: Path) -> None:
    store = HostStore(
        tmp_path / "store", "test", role="server", create=True, layout=Layout(breakers=1, slots=1024)
    )
    bench = Bench(store)
    breaker = bench.due(half_open_max_calls=16)
    for _ in range(16):
        breaker.admit()
    assert breaker.isolate(who="\U0001f600" * 80, why="\U0001f600" * 300, until=bench.clock.time() + 60)
    override = breaker.snapshot().override
    assert override is not None
    assert override.why == "\U0001f600" * 200
    store.close()
