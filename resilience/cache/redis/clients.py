"""Clients whose every command is guarded, also those that a project sends by itself (`get_redis_connection`).

What such a command cannot be given it raises: the client's own error, or `CacheRefusedError` and
`CacheDeadlineError`, which are errors of redis-py, too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from redis.client import Pipeline
from redis.lock import Lock

from resilience import conf, registry
from resilience.cache.redis.failures import (
    CacheDeadlineError,
    CacheRefusedError,
    LockAwayError,
    is_senseless,
)
from resilience.primitives import BreakerOpenError, DeadlineExceededError

if TYPE_CHECKING:
    from resilience.cache.calls import Calls

    _Redis = redis.Redis  # the class after the mixin
else:
    _Redis = object

T = TypeVar("T")


def guarded(calls: Calls, call: Callable[[], T]) -> T:
    """Make one call behind the cache's guard; what the guard refuses is an error of redis-py's, too."""
    try:
        return calls.each(call)
    except (CacheRefusedError, CacheDeadlineError):
        raise
    except BreakerOpenError as refusal:
        raise CacheRefusedError.of(refusal) from None
    except DeadlineExceededError as spent:
        raise CacheDeadlineError(str(spent), before_call=spent.before_call) from None


class _Guarded(_Redis):
    """Guard each command of a client, those of its pipelines, and its locks."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        calls = self.connection_pool.calls  # type: ignore[attr-defined]
        return guarded(calls, partial(super().execute_command, *args, **options))

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        return GuardedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)

    def lock(self, *args: Any, lock_class: Any = None, **kwargs: Any) -> Any:
        calls = self.connection_pool.calls  # type: ignore[attr-defined]
        make: Any = super().lock
        return make(*args, lock_class=lock_class or locks_of(calls), **kwargs)


class GuardedPipeline(Pipeline):
    """Guard what a pipeline sends: all its commands together, or one at once after `watch`."""

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        calls = self.connection_pool.calls  # type: ignore[attr-defined]
        return guarded(calls, partial(super().execute, raise_on_error))

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        calls = self.connection_pool.calls  # type: ignore[attr-defined]
        return guarded(calls, partial(super().immediate_execute_command, *args, **options))


@cache
def client_class(given: type[redis.Redis]) -> Any:
    """Return a subclass of redis-py's client, or of a project's own, that is guarded."""
    return type(f"Guarded{given.__name__}", (_Guarded, given), {})


class GuardedLock(Lock):
    """A lock that is never taken for acquired while the cache is away.

    Then `acquire` returns False if it does not block, and raises `LockAwayError` if it does; so does `with`.
    What is asked of a lock that is held raises `LockAwayError`, too.
    """

    calls: Calls

    def acquire(
        self, sleep: Any = None, blocking: bool | None = None, blocking_timeout: Any = None, token: Any = None
    ) -> bool:
        try:
            return bool(super().acquire(sleep, blocking, blocking_timeout, token))
        except LockAwayError:
            if self.blocking if blocking is None else blocking:
                raise
            return False

    def do_acquire(self, token: Any) -> bool:
        return self._asked(partial(super().do_acquire, token))

    def do_release(self, expected_token: Any) -> None:
        self._asked(partial(super().do_release, expected_token))

    def do_extend(self, additional_time: Any, replace_ttl: bool) -> Any:
        return self._asked(partial(super().do_extend, additional_time, replace_ttl))

    def do_reacquire(self) -> Any:
        return self._asked(super().do_reacquire)

    def locked(self) -> bool:
        return self._asked(super().locked)

    def owned(self) -> bool:
        return self._asked(super().owned)

    def _asked(self, ask: Callable[[], T]) -> T:
        return asked_of_lock(self.calls, str(self.name), ask)


def asked_of_lock(calls: Calls, name: str, ask: Callable[[], T]) -> T:
    """Return the answer; raise `LockAwayError` for each error of the cache that is away."""
    try:
        return ask()
    except redis.exceptions.LockError:
        raise  # the answer is no
    except (redis.RedisError, redis.exceptions.RedisClusterException, OSError) as error:
        if is_senseless(error) or conf.shadow():
            raise  # a time-out that is no number, for example
        wait = registry.breaker(calls.breaker).snapshot().retry_after
        raise LockAwayError(
            calls.breaker,
            retry_after=wait or 1.0,
            reason="the cache that holds the lock is not available",
            lock_name=name,
        ) from error


@cache
def locks_of(calls: Calls) -> Any:
    """Return the class of the locks of one cache. redis-py makes locks by their class alone."""
    return type("GuardedLock", (GuardedLock,), {"calls": calls})
