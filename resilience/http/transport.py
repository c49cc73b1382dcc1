"""Send requests over sockets that keep one deadline for connecting, TLS, sending, headers and body."""

import socket
import ssl
from functools import cache
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from resilience.net import sockets

if TYPE_CHECKING:
    _Connection = HTTPConnection  # the class after the mixin
else:
    _Connection = object


class _Bounded(_Connection):
    def _new_conn(self) -> socket.socket:
        limit = float(self.timeout or 0.0)
        try:
            return sockets.connect(self._dns_host, self.port, limit)
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(self.host, self, socket.gaierror(str(error))) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"connecting to {self.host} took over {limit:.1f} s") from error
        except OSError as error:
            raise NewConnectionError(self, f"cannot connect: {error}") from error


class BoundedConnection(_Bounded, HTTPConnection):
    """Connect within one time-out for all addresses together, and let no wait outlast the deadline."""


class BoundedTLSConnection(_Bounded, HTTPSConnection):
    """The same, in TLS."""


@cache
def _tls() -> ssl.SSLContext:
    context = create_urllib3_context()
    context.sslsocket_class = sockets.DeadlineSSLSocket
    return context


class _Pool(HTTPConnectionPool):
    ConnectionCls = BoundedConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = BoundedTLSConnection


class BoundedAdapter(HTTPAdapter):
    """Send each request once, over bounded connections."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=_tls(), **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
