"""A steward that lacks what it needs to ask leaves the lease to a process that does not."""

import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resilience.conf import ChoreConfig
from resilience.primitives import (
    BreakerConfig,
    CircuitBreaker,
    ManualClock,
    OwnTroubleError,
    State,
    Store,
)
from resilience.steward import runner
from resilience.steward.chores import Chore
from resilience.steward.runner import REST, Steward
from resilience.steward.watch import Watch
from resilience.testing import host_store
from tests.starving import no_threads

LONG = 10.0


def starve(*_: object) -> None:
    raise OSError(errno.EMFILE, "Too many open files")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with host_store(tmp_path) as store:
        yield store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def watch(store: Store, clock: ManualClock, ping: Callable[[], None]) -> Watch:
    config = BreakerConfig(failure_threshold=1, probed=True)
    breaker = CircuitBreaker(name="database", config=config, store=store, clock=clock)
    return Watch(breaker, ping, limit=0.5, clock=clock)


def holder(store: Store, clock: ManualClock) -> int | None:
    found = store.lease.holder(clock.monotonic())
    return None if found is None else found.epoch


class TestWatch:
    def test_says_that_it_cannot_ask_and_blames_nobody(self, store: Store, clock: ManualClock) -> None:
        one = watch(store, clock, starve)
        for _ in range(5):
            with pytest.raises(OwnTroubleError, match="descriptors"):
                one.step()
            clock.advance(5.0)

        assert one._breaker.shown() is State.CLOSED


class TestChore:
    def test_says_that_it_cannot_be_done_and_counts_it(self, store: Store, clock: ManualClock) -> None:
        chore = Chore(ChoreConfig(name="export", run="x.y", every=1.0), starve, 1, store, clock)
        with pytest.raises(OwnTroubleError, match="export failed for want of descriptors"):
            chore.step()

        assert store.counters.totals()["chores", "export", "failure"] == 1


class TestSteward:
    def test_gives_the_lease_up_and_rests(self, store: Store, clock: ManualClock) -> None:
        gave_up = threading.Event()
        one = Steward(store, lambda _: [watch(store, clock, starve)], clock=clock)
        release = store.lease.release

        def released(epoch: int) -> None:
            release(epoch)
            gave_up.set()

        store.lease.release = released  # type: ignore[method-assign]
        one.beat()
        assert gave_up.wait(LONG)
        assert holder(store, clock) is None

        clock.advance(REST - 1.0)
        one.beat()
        assert holder(store, clock) is None, "it took what it cannot do"
        clock.advance(1.5)
        gave_up.clear()
        one.beat()
        assert gave_up.wait(LONG), "nobody else took it, and it did not try again"
        one.stop()

    def test_leaves_it_to_another_process(self, store: Store, clock: ManualClock) -> None:
        asked = threading.Event()
        poor = Steward(store, lambda _: [watch(store, clock, starve)], clock=clock)
        well = Steward(store, lambda _: [watch(store, clock, asked.set)], clock=clock)
        poor.beat()
        for _ in range(100):
            well.beat()
            if asked.wait(LONG / 100):
                break
        mine = holder(store, clock)
        poor.beat()

        assert asked.is_set()
        assert holder(store, clock) == mine
        well.stop()

    def test_that_can_start_no_thread_gives_it_up_too(
        self, store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = Steward(store, lambda _: [watch(store, clock, starve)], clock=clock)
        with no_threads(monkeypatch):
            one.beat()

        assert holder(store, clock) is None
        assert runner.REST > runner.BEAT
