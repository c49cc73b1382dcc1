"""Mixed reads at a steady rate, whatever the answers take: a third of them was never asked before."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Get = Callable[[str], tuple[int, dict[str, str], bytes]]

USUAL = [
    *(f"/api/courses?page={page}" for page in range(1, 9)),
    *(f"/api/courses?search={word}" for word in ("jazz", "history", "physics", "language", "music", "data")),
    *(f"/api/courses?category={slug}" for slug in ("arts", "agriculture")),
    *(f"/api/courses?ordering={name}" for name in ("-title", "level", "-credits")),
    "/api/categories",
    "/api/fields",
    "/api/fields?category=arts",
    "/api/courses/dance-107-topics-in-rhythm-in-dance",
]
_WORDS = (
    "art",
    "bio",
    "chem",
    "dance",
    "film",
    "greek",
    "law",
    "math",
    "piano",
    "poetry",
    "russian",
    "theory",
)


@dataclass(frozen=True)
class Seen:
    """One answer: when it was asked for (seconds from the beginning), how long it took, what it said."""

    at: float
    seconds: float
    path: str
    status: int
    source: str
    body: Any


def paths(seed: int, count: int) -> list[str]:
    """Return what is asked for, in order."""
    chance = random.Random(seed)  # noqa: S311 - a load, no secret
    new = [
        f"/api/courses?search={word}&page_size={size}&ordering={order}"
        for word in _WORDS
        for size in range(1, 40)
        for order in ("title", "-title", "-credits")
    ]
    chance.shuffle(new)
    return [new.pop() if chance.random() < 1 / 3 else chance.choice(USUAL) for _ in range(count)]


def run(
    get: Get, asked: list[str], *, rate: float, events: list[tuple[float, Callable[[], object]]]
) -> list[Seen]:
    """Ask at the rate, let each event happen at its second, and return all answers."""
    seen: list[Seen] = []
    began = time.monotonic()
    threads = [threading.Thread(target=_at, args=(began + second, event)) for second, event in events]

    def ask(path: str) -> None:
        started = time.monotonic()
        try:
            status, headers, body = get(path)
        except (OSError, http.client.HTTPException) as error:
            status, headers, body = 0, {}, repr(error).encode()
        took = time.monotonic() - started
        try:
            said = json.loads(body)
        except ValueError:
            said = body.decode(errors="replace")
        seen.append(Seen(started - began, took, path, status, headers.get("x-data-source", "none"), said))

    for number, path in enumerate(asked):
        threads.append(
            threading.Thread(target=_at, args=(began + number / rate, lambda path=path: ask(path)))
        )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(seen, key=lambda each: each.at)


def _at(moment: float, event: Callable[[], object]) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
    event()
