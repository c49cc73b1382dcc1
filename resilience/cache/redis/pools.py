"""Pools of bounded connections: any pool class of redis-py, which then tries once and says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING, Any, ClassVar

import redis
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool, SentinelManagedConnection, SentinelManagedSSLConnection

from resilience.cache import inner
from resilience.cache.redis import connections
from resilience.primitives import current_deadline

if TYPE_CHECKING:
    from resilience.cache.calls import Calls

    _Pool = redis.ConnectionPool  # the class after the mixin
else:
    _Pool = object


class PoolFullError(redis.MaxConnectionsError):
    """This process already has the `max_connections` that it may have."""

    own_trouble = "connections"


class _Bounded(_Pool):
    """Make bounded connections; report any error while connecting as a `redis.ConnectionError`."""

    #: The bounded class for each class that redis-py would use.
    classes: ClassVar[dict[Any, Any]] = {
        Connection: connections.BoundedConnection,
        SSLConnection: connections.BoundedSSLConnection,
        UnixDomainSocketConnection: connections.BoundedUnixConnection,
    }
    #: The calls of the cache that the pool belongs to, for the clients that use it.
    calls: Calls

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        limit = inner.time_out()
        ours = {
            "retry": Retry(NoBackoff(), 0),
            # Over RESP3 a server may announce maintenance, and redis-py then waits for up to 10 s.
            "protocol": 2,
        }
        super().__init__(
            *args, **{"socket_connect_timeout": limit, "socket_timeout": limit, **kwargs, **ours}
        )
        if self.connection_class not in self.classes:
            raise ImproperlyConfigured(f"CACHES: {self.connection_class.__name__} cannot be bounded")
        self.connection_class = self.classes[self.connection_class]

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        with connecting():
            return super().get_connection(*args, **kwargs)

    def release(self, connection: Any) -> None:
        super().release(connection)
        if connection.left:
            connection.left = False
            self.disconnect(inuse_connections=False)


class _Counting(_Bounded):
    """A pool that refuses when it is full."""

    def make_connection(self) -> Any:
        try:
            return super().make_connection()
        except redis.MaxConnectionsError as error:
            raise PoolFullError(str(error)) from None
        except Exception:
            self._created_connections -= 1  # redis-py has counted the connection before making it
            raise


class _Blocking(_Bounded):
    """A pool that waits for a free connection: for its own time-out, and no longer than the deadline."""

    def __init__(self, *args: Any, queue_class: type[Any] = LifoQueue, **kwargs: Any) -> None:
        patient: Any = _patient
        super().__init__(*args, queue_class=patient(queue_class), **kwargs)

    def make_connection(self) -> Any:
        try:
            return super().make_connection()
        except Exception:
            self.pool.put_nowait(None)  # type: ignore[attr-defined]  # the place that was taken for it
            raise


class _OfSentinel(_Counting):
    """A pool that asks the sentinels for the address of each new connection."""

    classes = {
        SentinelManagedConnection: connections.BoundedSentinelConnection,
        SentinelManagedSSLConnection: connections.BoundedSentinelSSLConnection,
        SSLConnection: connections.BoundedSentinelSSLConnection,  # by an address that begins with rediss:
    }


@cache
def bounded(pool_class: type[redis.ConnectionPool]) -> Any:
    """Return a subclass of redis-py's pool class, or of a project's own, with bounded connections."""
    if issubclass(pool_class, SentinelConnectionPool):
        mixin: type[_Bounded] = _OfSentinel
    elif issubclass(pool_class, redis.BlockingConnectionPool):
        mixin = _Blocking
    else:
        mixin = _Counting
    return type(f"Bounded{pool_class.__name__}", (mixin, pool_class), {})


@cache
def _patient(queue_class: type[Any]) -> Any:
    """Return a subclass of a queue class whose waits end with the current deadline."""

    def get(self: Any, block: bool = True, timeout: float | None = None) -> Any:
        deadline = current_deadline()
        if deadline is not None:
            left = max(0.0, deadline.remaining())
            timeout = left if timeout is None else min(timeout, left)
        try:
            return queue_class.get(self, block, timeout)
        except Empty:
            raise PoolFullError("no connection became free in time") from None

    return type(f"Patient{queue_class.__name__}", (queue_class,), {"get": get})


@contextmanager
def connecting() -> Iterator[None]:
    """Turn errors that are not redis-py's or the system's, such as an unknown option's, into ConnectionError.

    The server's answers while connecting, too: they are about the settings, never about the caller's command.
    """
    try:
        yield
    except redis.ResponseError as error:
        raise redis.ConnectionError(f"cannot connect: {error}") from error
    except (redis.RedisError, OSError):
        raise
    except Exception as error:
        raise redis.ConnectionError(f"cannot connect: {type(error).__name__}: {error}") from error
