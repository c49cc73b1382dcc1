"""Locks of a cache that was not reached yet: a cluster has no client before one of its nodes answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from resilience.cache.redis.clients import asked_of_lock
from resilience.cache.redis.failures import LockAwayError

if TYPE_CHECKING:
    from resilience.cache.calls import Calls


def lock_made(calls: Calls, make: Callable[[], Any], key: Any, *, blocking: bool) -> Any:
    """Return the lock; if it cannot be made because the cache is away, one that says so when it is used."""
    late = LateLock(calls, make, str(key), blocking)
    try:
        return late.reached()
    except LockAwayError:
        return late


class LateLock:
    """Behave as a lock whose server is away, until a call of it reaches the server."""

    def __init__(self, calls: Calls, make: Callable[[], Any], name: str, blocking: bool) -> None:
        self._calls, self._make, self._name, self._blocking = calls, make, name, blocking
        self._lock: Any = None

    def reached(self) -> Any:
        """Return the lock itself. Raises LockAwayError while the cache is away."""
        if self._lock is None:
            self._lock = asked_of_lock(self._calls, self._name, self._make)
        return self._lock

    def acquire(self, sleep: Any = None, blocking: bool | None = None, *args: Any, **kwargs: Any) -> bool:
        try:
            lock = self.reached()
        except LockAwayError:
            if self._blocking if blocking is None else blocking:
                raise
            return False
        return bool(lock.acquire(sleep, blocking, *args, **kwargs))

    def __enter__(self) -> Self:
        self.reached().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.reached().__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.reached(), name)
