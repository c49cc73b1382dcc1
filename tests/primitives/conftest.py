"""A breaker to try things on: in the process's memory and in a host store, on a clock moved by hand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resilience.primitives import (
    TICKS,
    BreakerConfig,
    CircuitBreaker,
    HostStore,
    ManualClock,
    Store,
    Transition,
)
from resilience.primitives.store import Layout

SMALL = Layout(breakers=4, slots=8, counters=64, pools=4, limits=64)


class Dependency:
    """Something to call, which is up, down or slow."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.error: BaseException | None = None
        self.takes = 0.0
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        self.clock.advance(self.takes)
        if self.error is not None:
            raise self.error
        return "answer"


class Bench:
    """A breaker, what it guards, its clock, and what its listener heard."""

    def __init__(self, store: Store | None) -> None:
        self.clock = ManualClock()
        self.dependency = Dependency(self.clock)
        self.heard: list[Transition] = []
        self.store = store

    def breaker(self, **config: Any) -> CircuitBreaker:
        """Make a breaker that opens after 3 failures for 15 s; every one made is the same host's."""
        settings = {
            "failure_threshold": 3,
            "recovery_timeout": 15.0,
            "window": 30.0,
            "minimum_volume": 5,
            **config,
        }
        breaker = CircuitBreaker(
            name="database", config=BreakerConfig(**settings), store=self.store, clock=self.clock
        )
        breaker.on_transition(self.heard.append)
        return breaker

    def fails(self, breaker: CircuitBreaker, times: int = 1) -> None:
        """Let calls fail."""
        for _ in range(times):
            self.dependency.error = ConnectionError("refused")
            with pytest.raises(ConnectionError):
                breaker.call(self.dependency)
            self.dependency.error = None

    def opened(self, **config: Any) -> CircuitBreaker:
        """Make a breaker that has just opened."""
        breaker = self.breaker(**config)
        self.fails(breaker, 3)
        return breaker

    def due(self, **config: Any) -> CircuitBreaker:
        """Make a breaker whose open time is over."""
        breaker = self.opened(**config)
        self.clock.advance(15.0)
        return breaker


@pytest.fixture(autouse=True)
def no_excuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are slow here by a clock that is moved by hand: a busy machine excuses none of them."""
    monkeypatch.setattr(TICKS, "_thread", None)


@pytest.fixture
def host_store(tmp_path: Path) -> Iterator[HostStore]:
    store = HostStore(tmp_path / "resilience", "test", role="server", create=True, layout=SMALL)
    yield store
    store.close()


@pytest.fixture(params=["process", "host"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(None if request.param == "process" else request.getfixturevalue("host_store"))
