"""Sockets on which no send and no receive outlasts the current deadline.

A socket's own time-out starts again with every byte that arrives, so a server that sends a byte now and
then holds its client without end. These sockets look at the deadline before each call, which needs no thread,
signal or timer.
"""

import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from resilience.net import addresses
from resilience.primitives import current_deadline, deadline_scope, own_trouble

T = TypeVar("T")

if TYPE_CHECKING:
    # What the mixin stands in front of.
    _Socket = socket.socket
else:
    _Socket = object


class CappedTimeoutError(TimeoutError):
    """A wait ended without an answer, and had less time than its socket allows: the deadline came first.

    `missed` is how many seconds of the limit it did not have; 0 if it had half of it at least. So the breaker
    can tell a server that is silent from a process that has spent the time by itself (`own_trouble`).
    """

    def __init__(self, said: str, *, had: float, limit: float | None) -> None:
        super().__init__(said)
        self.missed = 0.0 if limit is None or 2 * had >= limit else limit - had


class _Bounded(_Socket):
    """Cap the time-out of each blocking call at what is left of the current deadline."""

    _limit: float | None = None

    def settimeout(self, value: float | None, /) -> None:
        self._limit = value
        super().settimeout(value)

    def _cap(self) -> float | None:
        """Return the seconds that are left for a call, if they are less than the socket's own limit."""
        deadline = current_deadline()
        if deadline is None or self._limit == 0.0:
            super().settimeout(self._limit)
            return None
        remaining = deadline.remaining()
        if remaining <= 0.0:
            raise CappedTimeoutError("the deadline is spent", had=0.0, limit=self._limit)
        if self._limit is not None and self._limit <= remaining:
            super().settimeout(self._limit)
            return None
        super().settimeout(remaining)
        return remaining

    def _within(self, call: Callable[..., T], *args: Any) -> T:
        had = self._cap()
        try:
            return call(*args)
        except TimeoutError as error:
            if had is None:
                raise
            raise CappedTimeoutError(str(error), had=had, limit=self._limit) from error

    def recv(self, *args: Any) -> bytes:
        return self._within(super().recv, *args)

    def recv_into(self, *args: Any) -> int:
        return self._within(super().recv_into, *args)

    def send(self, *args: Any) -> int:
        return self._within(super().send, *args)

    def sendall(self, *args: Any) -> None:
        self._within(super().sendall, *args)


class DeadlineSocket(_Bounded, socket.socket):
    """A TCP socket bounded by the current deadline."""


class DeadlineSSLSocket(_Bounded, ssl.SSLSocket):
    """A TLS socket bounded by the current deadline. Give it to a context as its `sslsocket_class`."""

    def do_handshake(self, block: bool = False) -> None:
        self._within(super().do_handshake, block)


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
