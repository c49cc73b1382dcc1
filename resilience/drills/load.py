"""Reads at a fixed rate, whatever time the answers take, and the label of each answer."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from resilience.request.response_headers import DATA_SOURCE, DEGRADED_REASON, HEADERS, SYSTEM_DEGRADED

# Seconds after which a request counts as not answered.
PATIENCE = 15.0
# The most bytes of an answer that are read.
_LONGEST = 16 * 1_048_576
# The most requests at once. A further one waits, and its wait counts.
_AT_ONCE = 128
# `{n}` in a path is a number from 1 to this, so that many answers are not stored yet.
_NUMBERS = 60

_SOURCES = HEADERS[DATA_SOURCE].values
_REASONS = HEADERS[DEGRADED_REASON].values
_STAND_INS = ("static", "mock")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer: when its request was due, the seconds from then, and its label."""

    at: float
    seconds: float
    path: str
    status: int
    """0 if no answer came."""
    source: str
    reason: str = ""
    """Why it is degraded, or 503; "" if it is neither."""
    mislabelled: str = ""
    """What is wrong with its label; "" if nothing is."""


class Load:
    """Read `paths` in turn, `rate` times a second, during the block.

    Time is measured from when a request was due. Otherwise a slow server would hide its slowness by delaying
    the next requests (Gil Tene's "coordinated omission"). Each request carries the current access token, if
    there is one.
    """

    def __init__(
        self, url: str, paths: Sequence[str], *, rate: float, token: Callable[[], str] = lambda: ""
    ) -> None:
        self._url = url
        self._token = token
        self._paths = paths
        self._rate = rate
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._answers: list[Answer] = []  # Guarded by _lock.
        self._thread = threading.Thread(target=self._run, name="drill-load", daemon=True)
        self.began = 0.0

    def __enter__(self) -> Self:
        self.began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def elapsed(self) -> float:
        """Return the seconds since the first request was due."""
        return time.monotonic() - self.began

    def answers(self) -> list[Answer]:
        """Return the answers so far, in the order in which they came."""
        with self._lock:
            return list(self._answers)

    def _run(self) -> None:
        chance = random.Random(7)  # noqa: S311 (a load, no secret)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="drill") as pool:
            number = 0
            while not self._stop.wait(max(0.0, self.began + number / self._rate - time.monotonic())):
                path = self._paths[number % len(self._paths)]
                pool.submit(
                    self._ask, path.replace("{n}", str(chance.randint(1, _NUMBERS))), number / self._rate
                )
                number += 1

    def _ask(self, path: str, due: float) -> None:
        status, headers, body = send(self._url, path, token=self._token())
        answer = Answer(
            at=due,
            seconds=self.elapsed() - due,
            path=path,
            status=status,
            source=_said(headers, DATA_SOURCE) if status == 200 else str(status or "no answer"),
            reason=headers.get(DEGRADED_REASON.lower(), ""),
            mislabelled=mislabelled(headers, body) if status == 200 else "",
        )
        with self._lock:
            self._answers.append(answer)


def send(
    url: str, path: str, *, body: bytes | None = None, token: str = ""
) -> tuple[int, dict[str, str], bytes]:
    """Send one request on a new connection; the status is 0, without headers, if no answer comes.

    A `body` is posted as JSON; `token` is an access token.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        own = {"User-Agent": "drill"}
        own |= {"Authorization": f"Bearer {token}"} if token else {}
        own |= {} if body is None else {"Content-Type": "application/json"}
        connection.request("GET" if body is None else "POST", parts.path.rstrip("/") + path, body, own)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read(_LONGEST)
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: no path at all
        return 0, {}, repr(error).encode()
    finally:
        connection.close()


def mislabelled(headers: Mapping[str, str], body: bytes) -> str:
    """Return what is wrong with the label of a 200, or "". A stand-in needs a label in its body too."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return "its body is no JSON"
    said: Any = parsed.get("degradation") if isinstance(parsed, dict) else None
    source = _said(headers, DATA_SOURCE)
    if said is None:
        if source not in _SOURCES:
            return f"its {DATA_SOURCE} is {source}"
        return f"{source}, and its body does not say so" if source in _STAND_INS else ""
    named = said.get("source") if isinstance(said, dict) else None
    if source == "live" or named != source:
        return f"{DATA_SOURCE} is {source}, its body says {named}"
    if _said(headers, SYSTEM_DEGRADED) != "true":
        return f"{source}, and {SYSTEM_DEGRADED} is not true"
    reason, why = _said(headers, DEGRADED_REASON), said.get("reason", "none")
    if reason != why or (source in _SOURCES and reason not in _REASONS):
        return f"{DEGRADED_REASON} is {reason}, its body says {why}"
    return "" if source == "none" or "age" in headers else f"{source}, and its age is not said"


def _said(headers: Mapping[str, str], name: str) -> str:
    """Return the value of a header, of which `headers` have the name in small letters."""
    return headers.get(name.lower(), "none")
