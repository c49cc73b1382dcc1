"""Breakers in tests: with a store of their own, and a clock that the test moves.

Without this a test process is a command: no call is counted or refused.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from resilience import registry
from resilience.primitives import SYSTEM_CLOCK, Clock, HostStore, LocalStore, Store
from resilience.primitives.store import Layout
from resilience.registry import Registry

# A small host store, which is quickly made.
SMALL = Layout(breakers=8, slots=16, counters=128, pools=8, limits=1024)


@contextmanager
def server_role(store: Store | None = None, *, clock: Clock = SYSTEM_CLOCK) -> Iterator[Registry]:
    """Make this process a server within the block, with a new store, new breakers and new bulkheads.

    Give `store` to share one (`host_store`), and a `ManualClock` as `clock` to move time.
    """
    fresh = Registry(clock=clock, store=store or LocalStore(role="server"))
    before = registry.use(fresh)
    try:
        yield fresh
    finally:
        registry.use(before)


@contextmanager
def full_pool(name: str) -> Iterator[None]:
    """Fill a pool within the block, places and queue, so that it refuses anyone who asks for a place."""
    pool = registry.bulkhead(name)
    with ExitStack() as stack:
        for _ in range(pool.config.running):
            stack.enter_context(pool.enter())
        for _ in range(pool.config.waiting):
            stack.enter_context(pool.queued())
        yield


@contextmanager
def host_store(directory: Path) -> Iterator[Store]:
    """Build a small host store in `directory`, for tests in which several processes share it."""
    store = HostStore(directory, "test", role="server", create=True, layout=SMALL)
    try:
        yield store
    finally:
        store.close()
