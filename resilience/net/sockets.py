"""Sockets on which no send and no receive outlasts the current deadline.

A socket's own time-out starts again with every byte that arrives, so a server that sends a byte now and
then holds its client without end. These sockets look at the deadline before each call, which needs no thread,
signal or timer.
"""

import socket
import ssl
from typing import TYPE_CHECKING, Any

from resilience.net import addresses
from resilience.primitives import current_deadline, deadline_scope, own_trouble

if TYPE_CHECKING:
    # What the mixin stands in front of.
    _Socket = socket.socket
else:
    _Socket = object


class _Bounded(_Socket):
    """Cap the time-out of each blocking call at what is left of the current deadline."""

    _limit: float | None = None

    def settimeout(self, value: float | None, /) -> None:
        self._limit = value
        super().settimeout(value)

    def _cap(self) -> None:
        deadline = current_deadline()
        if deadline is None or self._limit == 0.0:
            super().settimeout(self._limit)
            return
        remaining = deadline.remaining()
        if remaining <= 0.0:
            raise TimeoutError("the deadline is spent")
        super().settimeout(remaining if self._limit is None else min(self._limit, remaining))

    def recv(self, *args: Any) -> bytes:
        self._cap()
        return super().recv(*args)

    def recv_into(self, *args: Any) -> int:
        self._cap()
        return super().recv_into(*args)

    def send(self, *args: Any) -> int:
        self._cap()
        return super().send(*args)

    def sendall(self, *args: Any) -> None:
        self._cap()
        super().sendall(*args)


class DeadlineSocket(_Bounded, socket.socket):
    """A TCP socket bounded by the current deadline."""


class DeadlineSSLSocket(_Bounded, ssl.SSLSocket):
    """A TLS socket bounded by the current deadline. Give it to a context as its `sslsocket_class`."""

    def do_handshake(self, block: bool = False) -> None:
        self._cap()
        super().do_handshake(block)


def connect(host: str, port: int, limit: float) -> DeadlineSocket:
    """Connect to one of the addresses of `host` within `limit` seconds and the current deadline.

    Each address gets an equal share of the time that is left, so that a silent first one leaves time for the
    second. Afterwards the socket's own time-out is `limit`.

    Raises OSError; TimeoutError when the time was up.
    """
    refusals: list[OSError] = []
    with deadline_scope(limit) as deadline:
        found = addresses.lookup(host, deadline.remaining())
        for place, address in enumerate(found):
            try:
                return _connect(address, port, deadline.remaining() / (len(found) - place), limit)
            except OSError as error:
                refusals.append(error)
    # Raise rather the refusal of a server than that of an address that this host cannot use (such as IPv6
    # where it is switched off).
    raise next((error for error in refusals if own_trouble(error) is None), refusals[0])


def _connect(address: str, port: int, share: float, limit: float) -> DeadlineSocket:
    if share <= 0.0:
        raise TimeoutError("the deadline is spent")
    sock = DeadlineSocket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(share)
        sock.connect((address, port))
        sock.settimeout(limit)
    except BaseException:
        sock.close()
        raise
    return sock
