"""A relay before PostgreSQL that does to the start-up parameter ``options`` what proxies do.

refuse   answers with an error, as Amazon's RDS Proxy
close    closes the connection without a word
drop     passes everything on without it
pass     passes it on
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Literal, Self

from tests.servers.process import free_port

Mode = Literal["refuse", "close", "drop", "pass"]

_ENCRYPTION = (80877103, 80877104)  # SSLRequest, GSSENCRequest
_REFUSAL = b"SFATAL\0VFATAL\0C0A000\0MFeature not supported: command-line options\0\0"


class StartupRelay:
    """Stand between clients and the server on ``target`` (a loopback port).

    ``startups`` are the parameters of all start-up packets, in order.
    """

    def __init__(self, target: int, mode: Mode) -> None:
        self.target = target
        self.mode = mode
        self.port = free_port()
        self.startups: list[dict[str, str]] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="startup-relay", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End all connections."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                threading.Thread(target=self._begin, args=(client,), daemon=True).start()

    def _begin(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            while (code := struct.unpack("!i", (body := _message(client))[:4])[0]) in _ENCRYPTION:
                client.sendall(b"N")
            words = body[4:].rstrip(b"\0").decode().split("\0")
            parameters = dict(zip(words[::2], words[1::2], strict=True))
            self.startups.append(parameters)
            if "options" in parameters and self.mode in ("refuse", "close"):
                if self.mode == "refuse":
                    client.sendall(b"E" + struct.pack("!i", len(_REFUSAL) + 4) + _REFUSAL)
                client.close()
                return
            if self.mode == "drop":
                parameters.pop("options", None)
            said = "".join(f"{name}\0{value}\0" for name, value in parameters.items()).encode() + b"\0"
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()  # as a proxy does that reaches nobody
                return
            self._open.append(server)
            server.sendall(struct.pack("!ii", len(said) + 8, code) + said)
            threading.Thread(target=_pass_on, args=(server, client), daemon=True).start()
            _pass_on(client, server)


def _message(source: socket.socket) -> bytes:
    length = struct.unpack("!i", _exactly(source, 4))[0]
    return _exactly(source, length - 4)


def _exactly(source: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        if not (chunk := source.recv(length - len(found))):
            raise EOFError
        found += chunk
    return found


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65_536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
