"""django-redis with bounds: our time-outs, no retries, no pickle, and a connection pool per configuration."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import urlsplit

import redis
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from resilience import conf
from resilience.net import sockets

_NEEDED = {
    "SERIALIZER": "resilience.cache.redis.BytesSerializer",
    "CONNECTION_FACTORY": "resilience.cache.redis.BoundedConnections",
    # Errors must reach the breaker, whatever DJANGO_REDIS_IGNORE_EXCEPTIONS says.
    "IGNORE_EXCEPTIONS": False,
}

# What a server answers that is no primary (any more), or has nothing to answer from: another connection may
# lead to one that has.
_LEAVING = (redis.ReadOnlyError, redis.exceptions.MasterDownError, redis.BusyLoadingError)


def bounded_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a django-redis backend with ours filled in.

    Raises ImproperlyConfigured for an option that would take away what ours guarantee.
    """
    for name, needed in _NEEDED.items():
        if options.get(name, needed) != needed:
            raise ImproperlyConfigured(
                f"CACHES: the option {name} must be left out inside ResilientCache, which needs {needed!r}, "
                f"not {options[name]!r}"
            )
    limit = conf.deadline("cache")
    return {"SOCKET_CONNECT_TIMEOUT": limit, "SOCKET_TIMEOUT": limit, **options, **_NEEDED}


class BytesSerializer:
    """Pass bytes through: ResilientCache has encoded them, and nothing is ever unpickled."""

    def __init__(self, options: dict[str, Any]) -> None:
        pass

    def dumps(self, value: bytes) -> bytes:
        return value

    def loads(self, value: bytes) -> bytes:
        return value


# Note [An error keeps its cause]
# redis-py raises its errors while it handles the system's, and django-redis raises them once more while it
# handles its own: Python then forgets the first. As the cause it stays, and tells a time-out and a lack of
# descriptors apart from what a server does.
class _Telling(AbstractConnection):
    """See Note [An error keeps its cause]. Leave a server that takes no writes, or is not ready."""

    def connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        with _keeping_the_cause():
            super().connect_check_health(*args, **kwargs)

    def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        with _keeping_the_cause():
            super().send_packed_command(*args, **kwargs)  # type: ignore[no-untyped-call]

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            with _keeping_the_cause():
                return super().read_response(*args, **kwargs)
        except _LEAVING:
            # The primary is another server now. The pool then leaves the idle ones too (`release`).
            self.left = True
            self.disconnect()  # type: ignore[no-untyped-call]
            raise

    left = False


class _keeping_the_cause:  # noqa: N801 - it reads as what `with` takes, and each call of the cache pays for it
    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, redis.RedisError) and error.__cause__ is None:
            error.__cause__ = error.__context__


class BoundedUnixConnection(_Telling, UnixDomainSocketConnection):
    """A socket of this host: its time-outs are per wait, as redis-py has them."""


class BoundedConnection(_Telling, Connection):
    """Connect over all addresses together within one time-out, and keep every wait inside the deadline."""

    def _connect(self) -> sockets.DeadlineSocket:
        sock = sockets.connect(self.host, self.port, float(self.socket_connect_timeout or 0.25))
        sock.settimeout(self.socket_timeout)
        return sock


class BoundedSSLConnection(SSLConnection, BoundedConnection):
    """The same, in TLS."""

    def _wrap_socket_with_ssl(self, sock: sockets.DeadlineSocket) -> ssl.SSLSocket:
        wrapped: ssl.SSLSocket = super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call]
        # redis-py makes its own context, whose `sslsocket_class` is out of reach; the layout is the same.
        wrapped.__class__ = sockets.DeadlineSSLSocket
        return wrapped


_BY_SCHEME = {
    "redis": BoundedConnection,
    "rediss": BoundedSSLConnection,
    "unix": BoundedUnixConnection,
}


class PoolFullError(redis.MaxConnectionsError):
    """This process has as many connections as its `max_connections` lets it have."""

    own_trouble = "connections"


class _Pool(redis.ConnectionPool):
    """Report whatever keeps a connection from being made as what it is: the cache cannot be connected to."""

    def make_connection(self) -> Any:
        try:
            return super().make_connection()
        except redis.MaxConnectionsError as error:
            raise PoolFullError(str(error)) from None
        except Exception:
            self._created_connections -= 1  # counted by redis-py before it was made
            raise

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        with _connecting():
            return super().get_connection(*args, **kwargs)

    def release(self, connection: Any) -> None:
        super().release(connection)
        if connection.left:
            connection.left = False
            self.disconnect(inuse_connections=False)


@contextmanager
def _connecting() -> Iterator[None]:
    """Turn what is neither redis-py's own nor the system's error, such as an unknown option's, into one.

    What the server answers to the commands of connecting is about the settings, never about the caller's.
    """
    try:
        yield
    except redis.ResponseError as error:
        raise redis.ConnectionError(f"cannot connect: {error}") from error
    except (redis.RedisError, OSError):
        raise
    except Exception as error:
        raise redis.ConnectionError(f"cannot connect: {type(error).__name__}: {error}") from error


class BoundedConnections:
    """Make the clients of a django-redis backend: bounded, trying once, with one pool per URL *and* options.

    django-redis's own factory keeps one pool per URL, so that of two aliases the second gets the time-outs of
    the first.
    """

    _lock = threading.Lock()
    _pools: ClassVar[dict[str, redis.ConnectionPool]] = {}  # Guarded by _lock.

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = {
            "socket_connect_timeout": options["SOCKET_CONNECT_TIMEOUT"],
            "socket_timeout": options["SOCKET_TIMEOUT"],
            "username": options.get("USERNAME"),
            "password": options.get("PASSWORD"),
            **options.get("CONNECTION_POOL_KWARGS", {}),
        }

    def connect(self, url: str) -> redis.Redis:
        """Return a client of the pool that belongs to `url` and these options."""
        key = f"{url} {sorted(self._options.items())}"
        with self._lock:
            if key not in self._pools:
                with _connecting():
                    self._pools[key] = self._pool(url)
            return redis.Redis(connection_pool=self._pools[key])

    def disconnect(self, client: redis.Redis) -> None:
        """Close the connections of a client's pool."""
        client.connection_pool.disconnect()

    def _pool(self, url: str) -> redis.ConnectionPool:
        bounded = _BY_SCHEME.get(urlsplit(url).scheme)
        return _Pool.from_url(
            url,
            **({"connection_class": bounded} if bounded else {}),
            retry=Retry(NoBackoff(), 0),
            # Over RESP3 a server may announce maintenance, and redis-py then waits for up to 10 s.
            protocol=2,
            **self._options,
        )
