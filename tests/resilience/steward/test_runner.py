"""Who is the host's steward, and what a change of stewards means for its work."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.primitives import BreakerConfig, CircuitBreaker, ManualClock, Store
from resilience.steward.runner import Steward
from resilience.steward.watch import Watch
from resilience.testing import host_store

LONG = 10.0


class Pings:
    """A dependency whose pings can be waited for."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.threads: set[str] = set()

    def ping(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.asked.set()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with host_store(tmp_path) as store:
        yield store


def steward(store: Store, clock: ManualClock, pings: Pings) -> Steward:
    breaker = CircuitBreaker(name="database", config=BreakerConfig(probed=True), store=store, clock=clock)
    return Steward(store, lambda _: [Watch(breaker, pings.ping, limit=0.5, clock=clock)], clock=clock)


class TestSteward:
    def test_takes_a_free_lease_and_begins_to_watch(self, store: Store) -> None:
        clock, pings = ManualClock(), Pings()
        one = steward(store, clock, pings)
        one.beat()
        try:
            assert pings.asked.wait(LONG)
            assert pings.threads == {"resilience-watch-database"}
            assert store.lease.holder(clock.monotonic()) is not None
        finally:
            one.stop()

    def test_gives_the_lease_up_when_it_stops(self, store: Store) -> None:
        clock = ManualClock()
        one = steward(store, clock, Pings())
        one.beat()
        one.stop()
        assert store.lease.holder(clock.monotonic()) is None

    def test_keeps_its_epoch_while_it_renews_in_time(self, store: Store) -> None:
        clock = ManualClock()
        one = steward(store, clock, Pings())
        epochs = set()
        for _ in range(10):
            one.beat()
            holder = store.lease.holder(clock.monotonic())
            assert holder is not None
            epochs.add(holder.epoch)
            clock.advance(0.5)
        one.stop()
        assert len(epochs) == 1

    def test_lays_its_work_down_when_its_lease_lapsed_meanwhile(self, store: Store) -> None:
        clock, pings = ManualClock(), Pings()
        others = set(threading.enumerate())
        one = steward(store, clock, pings)
        one.beat()
        assert pings.asked.wait(LONG)
        (watching,) = set(threading.enumerate()) - others
        clock.advance(3.0)  # as if it had been stopped: nobody renewed
        watching.join(LONG)
        assert not watching.is_alive()
        one.stop()

    def test_goes_on_after_a_watch_that_raised(
        self, store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock, pings = ManualClock(), Pings()
        steps = iter([RuntimeError("a bug"), None])
        calm = threading.Event()

        def step(_: Watch) -> float:
            if (error := next(steps, None)) is not None:
                raise error
            calm.set()
            return 60.0

        monkeypatch.setattr(Watch, "step", step)
        one = steward(store, clock, pings)
        one.beat()
        assert calm.wait(LONG)
        one.stop()
        assert "watch-database failed" in caplog.text
