"""The listening sockets of the site: one for each worker, opened once for all servers.

With one socket for all workers, the first worker that wakes accepts all waiting connections, and kept
connections gather there. If several sockets share a port, the kernel chooses one for each connection. If a
worker dies, its successor answers the connections that wait; meanwhile new ones go to the other workers.
"""

import ctypes
import ipaddress
import logging
import socket
import struct
import sys
from collections.abc import Collection
from typing import Self

BACKLOG = 1024

logger = logging.getLogger("zenow.listening")

# Linux: asm-generic/socket.h, linux/bpf_common.h, linux/filter.h.
_SO_ATTACH_REUSEPORT_CBPF = 51
_LOAD, _MODULO, _IF_EQUAL, _RETURN = 0x20, 0x94, 0x15, 0x06
_RANDOM = 0xFFFFF000 + 56
_SENDER = 0xFFF00000 + 12  # of the IP header (version 4): the address that a connection comes from

# A connection from 127.90.0.N goes to worker N. Only this machine can make one: networks drop such addresses.
_OWN = int(ipaddress.IPv4Address("127.90.0.0"))


class Listeners:
    """`count` sockets on one port. On other systems than Linux one, as their kernels share no connections.

    Raises `OSError` if another process listens there.
    """

    def __init__(self, address: str, port: int, *, count: int) -> None:
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._open(address, port, shared=False).close()  # fails if another server of our kind has the port
        self._sockets = [
            self._open(address, port, shared=True) for _ in range(count if sys.platform == "linux" else 1)
        ]

    def _open(self, address: str, port: int, *, shared: bool) -> socket.socket:
        opened = socket.socket(self._family)
        try:
            # Connections left from a server that has ended do not matter.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            # Each connection inherits it: an answer does not wait for the client to confirm the last one.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.bind((address, port))
            opened.listen(BACKLOG)
        except OSError:
            opened.close()
            raise
        return opened

    def descriptors(self) -> tuple[int, ...]:
        """Return the descriptors, in the order of the workers."""
        return tuple(each.fileno() for each in self._sockets)

    def lead_to(self, workers: Collection[int]) -> None:
        """Lead new connections to these workers, evenly; if there are none, to all."""
        if len(self._sockets) == 1:
            return
        everybody = range(len(self._sockets))
        program = _program(everybody, sorted(workers) or everybody)
        held = ctypes.create_string_buffer(program)
        told = struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
        try:
            self._sockets[0].setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, told)
        except OSError as error:
            # The kernel then gives connections to all workers, also to one that is being replaced.
            logger.warning("connections cannot be led past a worker that has died: %s", error)

    def connection_to(self, worker: int) -> socket.socket:
        """Return a connection that is being made to that worker, even if new connections are led past it.

        It never blocks. Raises `OSError` if it cannot be made, as on an address of IPv6 alone.
        """
        host, port, *_ = self._sockets[0].getsockname()
        # A socket on all IPv6 addresses accepts from IPv4 too.
        host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - nobody binds here
        opened = socket.socket()
        try:
            opened.setblocking(False)
            # When closed, forget it at once: several a second would leave hundreds in TIME_WAIT.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            opened.bind((str(ipaddress.IPv4Address(_OWN + worker)), 0))
            opened.connect((host, port))
        except BlockingIOError:
            pass
        except OSError:
            opened.close()
            raise
        return opened

    def close(self) -> None:
        """Close them here; processes that inherited them keep them."""
        for each in self._sockets:
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _program(everybody: Collection[int], chosen: Collection[int]) -> bytes:
    """Return a program for the kernel's packet filter that returns the number of a socket.

    It is the worker that the sender's address names (`connection_to`), else one of the chosen at random.
    """
    steps = [(_LOAD, 0, 0, _SENDER)]
    for number in everybody:
        steps += [(_IF_EQUAL, 0, 1, _OWN + number), (_RETURN, 0, 0, number)]
    steps += [(_LOAD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(chosen))]
    for place, number in enumerate(chosen):
        steps += [(_IF_EQUAL, 0, 1, place), (_RETURN, 0, 0, number)]
    steps += [(_RETURN, 0, 0, 0)]  # not reached
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
