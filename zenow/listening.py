"""The sockets on which the site listens: one for each worker, opened once, whoever accepts from them.

From one socket for all, the worker that wakes first takes every connection that waits, and clients who keep
theirs gather there. Of several on one port the kernel chooses one for each connection. What waits for a
worker that has died waits until there is another; what comes afterwards is led past it.
"""

import ctypes
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


class Listeners:
    """So many sockets on one port; elsewhere than on Linux one, since nothing shares connections out there.

    Raises `OSError` where somebody listens already.
    """

    def __init__(self, address: str, port: int, *, count: int) -> None:
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._open(address, port, shared=False).close()  # Another server of our kind would share its port.
        self._sockets = [
            self._open(address, port, shared=True) for _ in range(count if sys.platform == "linux" else 1)
        ]

    def _open(self, address: str, port: int, *, shared: bool) -> socket.socket:
        opened = socket.socket(self._family)
        try:
            # Connections of a server that has ended are no hindrance.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            # Inherited by each connection: an answer does not wait for its client to confirm the last one.
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
        """Lead new connections to these workers, evenly; to all while there are none."""
        if len(self._sockets) == 1:
            return
        program = _choice(sorted(workers) or range(len(self._sockets)))
        held = ctypes.create_string_buffer(program)
        told = struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
        try:
            self._sockets[0].setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, told)
        except OSError as error:
            # The kernel then shares them out among all, also to one that is just being replaced.
            logger.warning("connections cannot be led past a worker that has died: %s", error)

    def close(self) -> None:
        """Let go of them; processes that inherited them still hold them."""
        for each in self._sockets:
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _choice(numbers: Collection[int]) -> bytes:
    """Return a program of the kernel's packet filter that returns one of the numbers at random."""
    steps = [(_LOAD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(numbers))]
    for place, number in enumerate(numbers):
        steps += [(_IF_EQUAL, 0, 1, place), (_RETURN, 0, 0, number)]
    steps += [(_RETURN, 0, 0, 0)]  # not reached
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
