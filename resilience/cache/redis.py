"""django-redis with bounds: our time-outs, no retries, no pickle, one connection pool per configuration."""

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

# Seconds in shadow, in which nothing is cut.
_NO_LIMIT = 3600.0

# Answers of a server that is not (or no longer) the primary, or has not loaded its data. A new connection may
# lead to a server that can answer.
_LEAVING = (redis.ReadOnlyError, redis.exceptions.MasterDownError, redis.BusyLoadingError)


def bounded_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a django-redis backend with ours filled in.

    Raises ImproperlyConfigured for an option that contradicts one of ours.
    """
    for name, needed in _NEEDED.items():
        if options.get(name, needed) != needed:
            raise ImproperlyConfigured(
                f"CACHES: the option {name} must be left out inside ResilientCache, which needs {needed!r}, "
                f"not {options[name]!r}"
            )
    limit = _NO_LIMIT if conf.shadow() else conf.deadline("cache")
    return {"SOCKET_CONNECT_TIMEOUT": limit, "SOCKET_TIMEOUT": limit, **options, **_NEEDED}


class BytesSerializer:
    """Pass bytes through: ResilientCache encodes them, and nothing is ever unpickled."""

    def __init__(self, options: dict[str, Any]) -> None:
        pass

    def dumps(self, value: bytes) -> bytes:
        return value

    def loads(self, value: bytes) -> bytes:
        return value


# Note [An error keeps its cause]
# redis-py raises its error while it handles the system's. django-redis then raises that error once more,
# while it handles redis-py's, and Python then forgets the first context. An error that is set as the cause
# stays. We need it to tell a time-out or a lack of descriptors from a failure of the server.
class _KeepsCause(AbstractConnection):
    """See Note [An error keeps its cause]. Close the connection if the server cannot answer as a primary."""

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
            # Another server may be the primary now. So the pool closes its idle connections, too (`release`).
            self.left = True
            self.disconnect()  # type: ignore[no-untyped-call]
            raise

    left = False


class _keeping_the_cause:  # noqa: N801 - used by `with` like a function; a class since that is faster
    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, redis.RedisError) and error.__cause__ is None:
            error.__cause__ = error.__context__


class BoundedUnixConnection(_KeepsCause, UnixDomainSocketConnection):
    """A connection by a socket file of this host; as in redis-py, its time-outs hold for each wait."""


class BoundedConnection(_KeepsCause, Connection):
    """Connect within one time-out for all addresses together, and let no wait outlast the deadline."""

    def _connect(self) -> sockets.DeadlineSocket:
        sock = sockets.connect(self.host, self.port, float(self.socket_connect_timeout or 0.25))
        sock.settimeout(self.socket_timeout)
        return sock


class BoundedSSLConnection(SSLConnection, BoundedConnection):
    """The same, in TLS."""

    def _wrap_socket_with_ssl(self, sock: sockets.DeadlineSocket) -> ssl.SSLSocket:
        wrapped: ssl.SSLSocket = super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call]
        # redis-py makes the TLS context itself, so its `sslsocket_class` cannot be set; both have one layout.
        wrapped.__class__ = sockets.DeadlineSSLSocket
        return wrapped


_BY_SCHEME = {
    "redis": BoundedConnection,
    "rediss": BoundedSSLConnection,
    "unix": BoundedUnixConnection,
}


class PoolFullError(redis.MaxConnectionsError):
    """This process already has the `max_connections` that it may have."""

    own_trouble = "connections"


class _Pool(redis.ConnectionPool):
    """A pool that reports any error while connecting as a `redis.ConnectionError`."""

    def make_connection(self) -> Any:
        try:
            return super().make_connection()
        except redis.MaxConnectionsError as error:
            raise PoolFullError(str(error)) from None
        except Exception:
            self._created_connections -= 1  # redis-py has counted the connection before making it
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


class BoundedConnections:
    """Make the clients of a django-redis backend: they try once, and share a pool per URL *and* options.

    django-redis's own factory has one pool per URL, so the second of two aliases would get the time-outs of
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
