"""A load generator: clients on asyncio's streams, each of which asks again as soon as it is answered.

    answers = load(port, [Role("reader", 16, never_asked(), warm=1.0)], seconds=10)["reader"]

It runs on the processors of what it measures, so it reads no body and parses two headers of an answer.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# Answers on one connection. A server's worker has a connection as long as it is kept; with new ones now and
# then the clients spread over the workers.
ON_ONE_CONNECTION = 10
PATIENCE = 10.0  # seconds that a client waits for an answer
LIST = "/api/courses"

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SOURCE = re.compile(rb"\r\nx-data-source: *(\w+)", re.IGNORECASE)
_BREAKER = re.compile(rb"\r\nx-circuit-breaker-(\w+)[\w-]*: *(\w+)", re.IGNORECASE)
_REASON = re.compile(rb"\r\nx-degraded-reason: *(\w+)", re.IGNORECASE)


class Request(NamedTuple):
    """What a client sends."""

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: str = ""

    def bytes(self) -> bytes:
        """Return it as it goes over the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            lines += [f"Content-Length: {len(self.body.encode())}", "Content-Type: application/json"]
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode()


class Answer(NamedTuple):
    """One answer: `status` is 0 where none came, `reason` is "" but for a stand-in or a refusal."""

    at: float  # when it came, by the monotonic clock
    seconds: float
    status: int
    source: str
    reason: str
    breakers: Mapping[str, str]

    @property
    def began(self) -> float:
        return self.at - self.seconds

    @property
    def is_full(self) -> bool:
        """Whether it is a success, and no stand-in."""
        return 200 <= self.status < 300 and not self.reason

    @property
    def is_closed(self) -> bool:
        """Whether it says that all breakers are closed."""
        return set(self.breakers.values()) <= {"CLOSED"}


@dataclass(frozen=True)
class Role:
    """So many clients that ask one thing after the other, with a pause between, in seconds."""

    name: str
    clients: int
    requests: Iterator[Request]
    pause: float = 0.0


def load(
    port: int,
    roles: Sequence[Role],
    seconds: float,
    *,
    warm: float = 1.0,
    enough: Callable[[Answer], bool] = lambda _: False,
) -> dict[str, list[Answer]]:
    """Return, for each role, the answers to what was asked in `seconds`; `warm` seconds before are left out.

    It ends early with the first answer that is `enough`. Each answer is waited for.
    """
    return asyncio.run(_load(port, roles, time.monotonic() + warm, seconds, enough))


def never_asked() -> Iterator[Request]:
    """Yield lists that differ to a store, and are the same work: blanks to search for, and a page.

    The blanks are a number, in twos. It begins at the time of day, so that a later run asks others.
    """
    for number in itertools.count(int(time.time() * 1e4)):
        blanks = f"{number:b}".replace("0", "%20").replace("1", "%C2%A0")
        yield Request(f"{LIST}?search={blanks}&page={1 + number % 59}&ordering=title")


def sent_as(token: str, requests: Iterator[Request]) -> Iterator[Request]:
    """Yield the same requests of somebody who is signed in."""
    for each in requests:
        yield each._replace(headers={**each.headers, "Authorization": f"Bearer {token}"})


def writes(token: str) -> Iterator[Request]:
    """Yield categories to store."""
    for number in itertools.count(int(time.time() * 1e4)):
        body = json.dumps({"title": f"Crowd {number}"})
        yield from sent_as(token, iter([Request("/api/categories", "POST", body=body)]))


def sign_ins(names: Iterator[str], password: str) -> Iterator[Request]:
    """Yield sign-ins, of one account after the other: the attempts at an account are limited."""
    for name in names:
        yield Request("/api/auth/token", "POST", body=json.dumps({"username": name, "password": password}))


async def _load(
    port: int,
    roles: Sequence[Role],
    counted_from: float,
    seconds: float,
    enough: Callable[[Answer], bool],
) -> dict[str, list[Answer]]:
    until = counted_from + seconds
    ended = asyncio.Event()
    answers: dict[str, list[Answer]] = {role.name: [] for role in roles}

    async def client(role: Role) -> None:
        while not ended.is_set() and time.monotonic() < until:
            connection: _Connection | None = None
            for _ in range(ON_ONE_CONNECTION):
                started = time.monotonic()
                if ended.is_set() or started >= until:
                    break
                try:
                    async with asyncio.timeout(PATIENCE):
                        connection = connection or await _connect(port)
                        answer = await _ask(connection, next(role.requests), started)
                except (OSError, EOFError, TimeoutError):  # EOFError: it was closed within
                    answer = Answer(time.monotonic(), time.monotonic() - started, 0, "", "none", {})
                    _close(connection)
                    connection = None
                    await asyncio.sleep(0.1)  # a refused connect costs nothing: ask no faster than this
                if started >= counted_from:
                    answers[role.name].append(answer)
                    if enough(answer):
                        ended.set()
                if role.pause:
                    await asyncio.sleep(role.pause)
            _close(connection)

    await asyncio.gather(*(client(role) for role in roles for _ in range(role.clients)))
    return answers


_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _connect(port: int) -> _Connection:
    return await asyncio.open_connection("127.0.0.1", port)


def _close(connection: _Connection | None) -> None:
    if connection is not None:
        connection[1].close()


async def _ask(connection: _Connection, request: Request, started: float) -> Answer:
    reader, writer = connection
    writer.write(request.bytes())
    head = await reader.readuntil(b"\r\n\r\n")
    if (length := _LENGTH.search(head)) is not None:
        await reader.readexactly(int(length[1]))
    else:
        await reader.readuntil(b"\r\n0\r\n\r\n")  # chunked: no JSON has this within
    at = time.monotonic()
    source, reason = _SOURCE.search(head), _REASON.search(head)
    status = int(head[9:12])
    return Answer(
        at,
        at - started,
        status,
        source[1].decode() if source else "",
        reason[1].decode() if reason else ("" if status < 500 else "refused"),
        {name.decode().lower(): state.decode() for name, state in _BREAKER.findall(head)},
    )
