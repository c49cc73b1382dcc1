"""Stores that several processes share; each is as good as a process of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resilience.primitives import BreakerConfig, CircuitBreaker, HostStore, ManualClock, Store
from resilience.primitives.store.layout import FORMAT
from tests.primitives.conftest import SMALL

Another = Callable[[], HostStore]
FILE = f"test-v{FORMAT}.store"


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Another]:
    """Open the store of one host as one more process would."""
    opened: list[HostStore] = []

    def one() -> HostStore:
        opened.append(HostStore(tmp_path / "host", "test", role="server", create=True, layout=SMALL))
        return opened[-1]

    yield one
    for store in opened:
        store.close()


@pytest.fixture
def one(another: Another) -> HostStore:
    return another()


@pytest.fixture
def two(another: Another) -> HostStore:
    return another()


@pytest.fixture
def busy(another: Another) -> HostStore:
    """A process that holds the lock."""
    store = another()
    assert store.lock.take() is not None
    return store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "resilience"


def server(folder: Path) -> HostStore:
    return HostStore(folder, "test", role="server", create=True, layout=SMALL)


def command(folder: Path) -> HostStore:
    return HostStore(folder, "test", role="command", create=False, layout=SMALL)


def breaker(store: Store, clock: ManualClock) -> CircuitBreaker:
    config = BreakerConfig(failure_threshold=1, recovery_timeout=100)
    return CircuitBreaker(name="database", config=config, store=store, clock=clock)


def fail(guarded: CircuitBreaker) -> None:
    with pytest.raises(ConnectionError):
        guarded.call(_refused)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the store logged."""
    return [record.getMessage() for record in caplog.records if record.name == "resilience.store"]


def _refused() -> None:
    raise ConnectionError


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
