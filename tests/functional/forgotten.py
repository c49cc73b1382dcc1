"""A steady load on a healthy database, while what lies before it forgets, or ends, all open connections.

load = Load(site)
load.run(seconds=40, faults={"forget": [2.0, 12.0]})
load.check()
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.faultproxy import Mode
from tests.functional.outages import Site
from tests.patience import ROOM

RATE = 40  # requests a second, begun whatever the answers take
WRITE_EACH = 8  # one of so many stores something
WITHIN = 2.5  # seconds, for a write


class Sent(NamedTuple):
    """One request: when it began and ended, and what came of it."""

    title: str  # of what it stores; of a read empty
    began: float
    ended: float
    status: int
    source: str
    outcome: str
    breaker: str


class Load:
    """Reads that nobody asked for before and writes, at a rate, with faults in them."""

    rows: list[str] = []  # what the run prints at its end

    def __init__(self, site: Site) -> None:
        self._site = site
        self.sent: list[Sent] = []
        self.faults: list[float] = []

    def run(self, *, seconds: float, faults: Sequence[tuple[float, Mode]]) -> None:
        """Send for so many seconds, and have each fault at its second, with busy connections."""
        site = self._site
        site.sign_in()
        self._log_from = site.log.stat().st_size
        left = sorted(faults, key=lambda fault: fault[0])
        began = time.monotonic()
        with ThreadPoolExecutor(64) as threads:
            for number in range(int(seconds * RATE)):
                time.sleep(max(0.0, began + number / RATE - time.monotonic()))
                if left and time.monotonic() - began >= left[0][0]:
                    site.proxy.set(left.pop(0)[1])
                    self.faults.append(time.monotonic())
                threads.submit(self._write if number % WRITE_EACH == 0 else self._read, f"{began} {number}")

    def _read(self, name: str) -> None:
        self._send("", "GET", "/api/courses?search=" + name.replace(" ", "x"), None)

    def _write(self, name: str) -> None:
        self._send(name, "POST", "/api/categories", json.dumps({"title": name}))

    def _send(self, title: str, method: str, path: str, body: str | None) -> None:
        own = {"Authorization": f"Bearer {self._site.token}", "Content-Type": "application/json"}
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._site.port, timeout=10)
        try:
            connection.request(method, path, body, own)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            headers, status = answer.headers, answer.status
        except (OSError, http.client.HTTPException):
            headers, status, said = http.client.HTTPMessage(), 0, {}
        finally:
            connection.close()
        self.sent.append(
            Sent(
                title,
                began,
                time.monotonic(),
                status,
                headers.get("X-Data-Source", "none"),
                said.get("outcome", ""),
                headers.get("X-Circuit-Breaker-DB", "none"),
            )
        )

    # --- What came of it ---

    def under_way(self, sent: Sent) -> bool:
        """Tell whether a request was sent before a fault and answered after it."""
        return any(sent.began <= at <= sent.ended for at in self.faults)

    def stand_ins(self) -> list[Sent]:
        return [each for each in self.sent if not each.title and each.source != "live"]

    def refused(self, *, under_way: bool) -> list[Sent]:
        """Return the writes that were not stored, or of which nobody knows."""
        writes = [each for each in self.sent if each.title and each.status != 201]
        return [each for each in writes if self.under_way(each) is under_way]

    def row(self) -> str:
        """Return what happened, for the eye."""
        writes, reads = ([each for each in self.sent if bool(each.title) is kind] for kind in (True, False))
        under_way = Counter(each.outcome for each in self.refused(under_way=True))
        return (
            f"{len(self.sent)} requests, {len(self.faults)} faults, {self._count(self.sent)} under way; "
            f"{len(writes)} writes: refused {len(self.refused(under_way=False))} that began later, "
            f"{dict(under_way)} under way, slowest {_slowest(writes):.2f} s; "
            f"{len(reads)} reads: {len(self.stand_ins())} stand-ins, {self._count(self.stand_ins())} of them "
            f"under way, slowest {_slowest(reads):.2f} s; "
            f"breaker {sorted({each.breaker for each in self.sent})}, {len(self.transitions())} transitions"
        )

    def _count(self, sent: list[Sent]) -> int:
        return sum(map(self.under_way, sent))

    def transitions(self) -> list[str]:
        """Return what the workers logged of the breaker meanwhile."""
        with self._site.log.open() as log:
            log.seek(self._log_from)
            return re.findall(r"database: (\w+ to \w+, .*)", log.read())

    def check(self) -> None:
        """Hold it to what is promised."""
        stored = self._site.stored()
        assert [each for each in self.sent if each.status not in (200, 201, 503)] == []
        assert self.transitions() == []
        assert {each.breaker for each in self.sent} == {"CLOSED"}
        assert self.refused(under_way=False) == []
        assert all(each.title in stored for each in self.sent if each.status == 201)
        for each in self.refused(under_way=True):
            assert each.outcome in ("not_stored", "unknown"), each
            assert each.outcome == "unknown" or each.title not in stored, each
        later = [each for each in self.sent if each.title and not self.under_way(each)]
        assert max(each.ended - each.began for each in later) <= WITHIN + ROOM
        assert len(self.stand_ins()) <= self._count(self.sent)


def _slowest(sent: list[Sent]) -> float:
    return max(each.ended - each.began for each in sent)


def spread(seconds: float, modes: Mapping[Mode, int]) -> list[tuple[float, Mode]]:
    """Return faults at even distances, the first after the connections have become busy."""
    wanted = [mode for mode, count in modes.items() for _ in range(count)]
    return [(2.0 + number * (seconds - 4.0) / len(wanted), mode) for number, mode in enumerate(wanted)]
