"""Clients that read at a steady rate, one answer at a time, so that a slow machine is asked less."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from resilience.drills.load import Answer, mislabelled, send

CLIENTS = 6


class Readers:
    """Ask for `paths` in turn, together `rate` times a second at most, until the block is left."""

    def __init__(self, url: str, paths: Sequence[str], *, rate: float) -> None:
        self._url = url
        self._paths = itertools.cycle(paths)
        self._between = CLIENTS / rate
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._answers: list[Answer] = []  # Guarded by _lock, as is _paths.
        self._threads = [
            threading.Thread(target=self._run, name=f"reader-{number}", args=(number / rate,), daemon=True)
            for number in range(CLIENTS)
        ]
        self.began = 0.0

    def __enter__(self) -> Self:
        self.began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def elapsed(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self.began

    def answers(self) -> list[Answer]:
        """Return what has been answered so far, in the order of arrival."""
        with self._lock:
            return list(self._answers)

    def _run(self, due: float) -> None:
        while not self._stop.wait(max(0.0, due - self.elapsed())):
            with self._lock:
                path = next(self._paths)
            at = self.elapsed()
            status, headers, body = send(self._url, path)
            answer = Answer(
                at=at,
                seconds=self.elapsed() - at,
                path=path,
                status=status,
                source=headers.get("x-data-source", "none") if status == 200 else str(status or "no answer"),
                mislabelled=mislabelled(headers, body) if status == 200 else "",
            )
            with self._lock:
                self._answers.append(answer)
            due = max(due + self._between, self.elapsed())
