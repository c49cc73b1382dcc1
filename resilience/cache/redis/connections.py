"""Connections to Redis with bounds: none outlasts the current deadline, and each error keeps its cause."""

import ssl
from types import TracebackType
from typing import Any

import redis
from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.sentinel import SentinelManagedConnection

from resilience.net import sockets

# Answers of a server that is not (or no longer) the primary, or has not loaded its data. A new connection may
# lead to a server that can answer.
_LEAVING = (redis.ReadOnlyError, redis.exceptions.MasterDownError, redis.BusyLoadingError)


# Note [An error keeps its cause]
# redis-py raises its error while it handles the system's. django-redis then raises that error once more,
# while it handles redis-py's, and Python then forgets the first context. An error that is set as the cause
# stays. We need it to tell a time-out or a lack of descriptors from a failure of the server.
class KeepsCause(AbstractConnection):
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


class BoundedUnixConnection(KeepsCause, UnixDomainSocketConnection):
    """A connection by a socket file of this host; as in redis-py, its time-outs hold for each wait."""


class BoundedConnection(KeepsCause, Connection):
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


class BoundedSentinelConnection(SentinelManagedConnection, BoundedConnection):
    """The same, to the server that the sentinels name when it connects."""


class BoundedSentinelSSLConnection(SentinelManagedConnection, BoundedSSLConnection):
    """The same, in TLS."""
