"""Clients that write, remember what they were told, and repeat what nobody could tell them."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from dataclasses import dataclass, field

from tests.functional.outages import Site

_REPEAT_AFTER = 0.2


@dataclass
class Ledger:
    """What was said of each title, at last."""

    stored: set[str] = field(default_factory=set)
    not_stored: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)  # unknown at first, then stored; also in `stored`
    unsettled: set[str] = field(default_factory=set)
    replayed: int = 0  # repeats that found the first answer: it had been stored
    answers: dict[str, int] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    # Connections that broke, as (asked, broke) in monotonic seconds: nobody knows what came of the write.
    broken: list[tuple[float, float]] = field(default_factory=list)
    slowest: float = 0.0


class Writer(threading.Thread):
    """Write one title after the other, each under a key of its own, until told to stop.

    `pause` lies between two of them, on average. A repeat is answered at the latest when the database is
    back: beyond `patience` something hangs. Both in seconds.
    """

    _numbers = itertools.count(1)

    def __init__(
        self,
        site: Site,
        ledger: Ledger,
        lock: threading.Lock,
        *,
        pause: float = 0.1,
        patience: float = 60.0,
    ) -> None:
        super().__init__(daemon=True)
        self._pause = pause
        self._patience = patience
        self._site = site
        self._ledger = ledger
        self._lock = lock
        self.stopping = threading.Event()

    def run(self) -> None:
        # At random: in step, all writers would be at the same point when a fault comes.
        while not self.stopping.wait(random.uniform(0.0, 2 * self._pause)):  # noqa: S311 - no secret
            number = next(self._numbers)
            self._tell(f"Ledger {number}", f"key-{number}")

    def _tell(self, title: str, key: str) -> None:
        # A key is its sender's: repeated by another, who has signed in meanwhile, it is another write.
        token = self._site.token
        outcome = self._ask(title, key, token)
        if outcome != "unknown":
            with self._lock:
                (self._ledger.stored if outcome == "stored" else self._ledger.not_stored).add(title)
            return
        limit = time.monotonic() + self._patience
        while time.monotonic() < limit:
            time.sleep(_REPEAT_AFTER)
            # A refusal of the repeat tells of the repeat alone.
            if self._ask(title, key, token) == "stored":
                with self._lock:
                    self._ledger.stored.add(title)
                    self._ledger.settled.add(title)
                return
        with self._lock:
            self._ledger.unsettled.add(title)

    def _ask(self, title: str, key: str, token: str) -> str:
        own = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._site.port, timeout=15)
        try:
            connection.request("POST", "/api/categories", json.dumps({"title": title}), own)
            response = connection.getresponse()
            body = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            with self._lock:
                self._ledger.broken.append((started, time.monotonic()))
            return "unknown"
        finally:
            connection.close()
        said = {201: "stored", 409: "unknown"}.get(response.status, body.get("outcome", "strange"))
        with self._lock:
            ledger = self._ledger
            ledger.slowest = max(ledger.slowest, time.monotonic() - started)
            word = f"{response.status} {said}"
            ledger.answers[word] = ledger.answers.get(word, 0) + 1
            ledger.replayed += response.headers.get("Idempotent-Replayed") == "true"
            if said == "strange":
                ledger.strange.append(f"{response.status} {body}")
        return str(said)
