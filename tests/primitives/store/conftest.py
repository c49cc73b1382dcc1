"""Stores that several processes share; each is as good as a process of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resilience.primitives import HostStore
from tests.primitives.conftest import SMALL

Another = Callable[[], HostStore]


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
