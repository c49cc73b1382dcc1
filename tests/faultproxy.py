"""A TCP proxy on the loopback address that breaks the wire as networks do.

    with FaultProxy(port_of_the_server) as proxy:
        …connect to proxy.port…
        proxy.set("silent")

A mode holds for connections that are open already as well as for new ones, save the last three: they happen
to those that are open at the time, and the mode is ``pass`` afterwards.

pass     everything goes through
refuse   no listener: connections are refused, open ones are reset
latency  each chunk is held back by ``delay`` seconds, in both directions
silent   connections are accepted, nothing is passed on, nothing is closed
mute     the client's bytes go through, the server's replies are held back
reset    connections are accepted, then reset; open ones at once
cut      half of the server's next reply is passed on, then the connection is reset; with ``once``, the
         next connection finds ``pass``
flap     ``pass`` and ``refuse`` in turns of ``period`` seconds
forget   nothing is passed on any longer, nothing is closed: a firewall that forgot them
kill     reset, and new ones find all well
half     the client is told that no more will come (FIN), and what it sends still goes through
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Literal, Self

from tests.servers.process import free_port

Mode = Literal[
    "pass", "refuse", "latency", "silent", "mute", "reset", "cut", "flap", "forget", "kill", "half"
]
Writers = tuple[asyncio.StreamWriter, ...]


class FaultProxy:
    """Stand between a client and the server on ``target`` (a loopback port), in a thread of its own.

    ``connections`` counts those accepted, ``chunks`` the client's chunks that reached the server.
    """

    def __init__(self, target: int, *, port: int | None = None) -> None:
        self.target = target
        self.port = port or free_port()
        self.connections = 0
        self.chunks = 0
        self._mode: Mode = "pass"
        self._delay = 0.0
        self._once = False
        self._forgotten = 0  # How many of those accepted have been forgotten: the first ones.
        self._listener: asyncio.Server | None = None
        self._open: set[Writers] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flapping: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def set(self, mode: Mode, *, delay: float = 0.0, period: float = 2.0, once: bool = False) -> None:
        """Switch to a mode; in force when this returns."""
        self._once = once
        self._run(self._set(mode, delay, period))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _set(self, mode: Mode, delay: float, period: float) -> None:
        if self._flapping is not None:
            self._flapping.cancel()
            self._flapping = None
        if mode == "flap":
            self._flapping = asyncio.create_task(self._flap(period))
        else:
            await self._enter(mode, delay)

    async def _enter(self, mode: Mode, delay: float = 0.0) -> None:
        if mode == "forget":
            self._forgotten = self.connections
        if mode == "half":
            for client, *_ in self._open:
                with contextlib.suppress(OSError):  # It may just have ended by itself.
                    client.get_extra_info("socket").shutdown(socket.SHUT_WR)
        self._mode, self._delay = ("pass" if mode in ("forget", "kill", "half") else mode), delay
        if mode in ("refuse", "reset", "kill"):
            self._reset_all()
        if mode == "refuse":
            await self._close_listener()
        else:
            await self._listen()

    async def _flap(self, period: float) -> None:
        while True:
            for mode in ("refuse", "pass"):
                await self._enter(mode)
                await asyncio.sleep(period)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _close_listener(self) -> None:
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        # Nobody else is accepted. Who just was must not find the server closed: his socket would stay open.
        for each in listener.sockets:
            self._loop.remove_reader(each.fileno())
        await _turns()
        listener.close()

    async def _stop(self) -> None:
        await self._set("refuse", 0.0, 0.0)
        await _turns()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers: Writers = (writer,)
        self._open.add(writers)
        try:
            if self._mode in ("refuse", "reset"):
                return
            await self._held(number)
            upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self.target)
            self._open.discard(writers)
            writers = (writer, upstream)
            self._open.add(writers)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pipe(number, reader, upstream, from_server=False))
                group.create_task(self._pipe(number, upstream_reader, writer, from_server=True))
        except* (OSError, asyncio.CancelledError):
            pass  # one of the two ends went away: the other one is told below
        finally:
            self._open.discard(writers)
            self._tasks.discard(task)
            for each in writers:
                _reset(each)

    async def _held(self, number: int) -> None:
        """Wait as the mode says, as long as it says so; for ever on a connection that is forgotten."""
        if self._mode == "latency":
            await asyncio.sleep(self._delay)
        while self._mode == "silent" or number <= self._forgotten:
            await asyncio.sleep(0.02)

    async def _pipe(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_server: bool
    ) -> None:
        while chunk := await reader.read(65_536):
            await self._held(number)
            while self._mode == "mute" and from_server:
                await asyncio.sleep(0.02)
            if self._mode == "cut" and from_server:
                writer.write(chunk[: len(chunk) // 2])
                await writer.drain()
                if self._once:
                    self._mode = "pass"
                raise ConnectionResetError("cut")
            if not from_server:
                self.chunks += 1
            writer.write(chunk)
            await writer.drain()
        raise ConnectionResetError("closed by one end")

    def _reset_all(self) -> None:
        for writers in tuple(self._open):
            for writer in writers:
                _reset(writer)


async def _turns() -> None:
    """Let what the loop has taken on begin: a connection is accepted, made and handed over in turns."""
    for _ in range(4):
        await asyncio.sleep(0)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close at once with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
