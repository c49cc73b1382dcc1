"""What failed is said once for a cause and outage, by whichever process of the host meets it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from resilience.primitives import BreakerConfig, CircuitBreaker, ManualClock, Outcome, Transition
from resilience.primitives.store import HostStore
from resilience.testing import SMALL


def make(clock: ManualClock, store: HostStore | None = None) -> CircuitBreaker:
    return CircuitBreaker(
        name="database",
        config=BreakerConfig(failure_threshold=3, minimum_volume=3, recovery_timeout=15.0),
        store=store,
        describe=str,
        clock=clock,
    )


def fail(breaker: CircuitBreaker, *causes: str) -> None:
    for cause in causes:
        breaker.settle(breaker.admit(), Outcome.FAILURE, error=OSError(cause))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [line.partition(": ")[2] for line in caplog.messages if line.startswith("database fails")]


def test_a_cause_that_goes_on_is_said_once(clock: ManualClock, said: Callable[[], list[str]]) -> None:
    breaker = make(clock)
    fail(breaker, "refused", "refused", "refused")
    for _ in range(40):  # probes, over ten minutes
        clock.advance(15.0)
        fail(breaker, "refused")
    assert said() == ["refused"]


def test_each_cause_of_an_outage_is_said_once(clock: ManualClock, said: Callable[[], list[str]]) -> None:
    breaker = make(clock)
    for cause in ("refused", "starting up", "refused", "starting up"):
        clock.advance(15.0)
        fail(breaker, cause)
    assert said() == ["refused", "starting up"]


def test_the_next_outage_is_told_its_cause_again(clock: ManualClock, said: Callable[[], list[str]]) -> None:
    breaker = make(clock)
    for _ in range(2):
        clock.advance(15.0)
        fail(breaker, "refused", "refused", "refused")
        clock.advance(15.0)
        breaker.settle(breaker.admit(), Outcome.SUCCESS)
    assert said() == ["refused", "refused"]


@pytest.mark.parametrize(("pause", "times"), [(299.0, 1), (300.0, 2)])
def test_without_an_outage_it_is_said_again_after_five_minutes_without_it(
    clock: ManualClock, said: Callable[[], list[str]], pause: float, times: int
) -> None:
    breaker = make(clock)
    for _ in range(2):
        fail(breaker, "refused")
        clock.advance(pause)
    assert said() == ["refused"] * times


def test_what_one_process_has_said_another_does_not_repeat(
    clock: ManualClock, said: Callable[[], list[str]], tmp_path: Path
) -> None:
    stores = [HostStore(tmp_path, "test", role="server", create=True, layout=SMALL) for _ in range(2)]
    try:
        for store in stores:
            fail(make(clock, store), "refused: " + "x" * 400)
    finally:
        for store in stores:
            store.close()
    assert len(said()) == 1


def test_many_causes_do_not_fill_the_memory(clock: ManualClock, said: Callable[[], list[str]]) -> None:
    breaker = make(clock)
    for number in range(100):
        clock.advance(100.0)
        fail(breaker, f"cause {number}")
    assert len(said()) == 100
    assert len(breaker._notes._said) <= 32


def test_what_cannot_be_described_is_named(
    clock: ManualClock, said: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: BaseException) -> str:
        raise ValueError

    breaker = CircuitBreaker(name="database", describe=fails, clock=clock)
    breaker.settle(breaker.admit(), Outcome.FAILURE, error=OSError(5, "x"))
    assert said() == ["builtins.OSError 5"]
    breaker.settle(breaker.admit(), Outcome.FAILURE, error=MemoryError())
    assert caplog.messages[-1].endswith("with its memory: builtins.MemoryError")


class TestTheTransition:
    def told(self, breaker: CircuitBreaker) -> list[Transition]:
        heard: list[Transition] = []
        breaker.on_transition(heard.append)
        return heard

    def test_that_opens_carries_the_last_cause(self, clock: ManualClock) -> None:
        breaker = make(clock)
        heard = self.told(breaker)
        fail(breaker, "refused", "refused", "refused")
        clock.advance(15.0)
        fail(breaker, "starting up")
        assert [(one.after.value, one.cause) for one in heard] == [
            ("OPEN", "refused"),
            ("HALF_OPEN", ""),
            ("OPEN", "starting up"),
        ]

    def test_carries_none_where_calls_were_only_slow_or_somebody_ordered_it(self, clock: ManualClock) -> None:
        breaker = make(clock)
        heard = self.told(breaker)
        fail(breaker, "refused", "refused", "refused")
        clock.advance(15.0)
        breaker.settle(breaker.admit(), Outcome.SUCCESS)
        breaker.isolate(who="ada", why="repairs")
        breaker.auto(who="ada", why="")
        for _ in range(9):
            if breaker.state == "closed":
                breaker.settle(breaker.admit(), Outcome.SLOW)
        assert {one.cause for one in heard[1:]} == {""}
        assert heard[-1].after.value == "OPEN"
