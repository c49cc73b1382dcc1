"""Limits on the time of a request's body, and on how many bodies are waited for at once.

granian waits for a body without limit. Sixteen clients that begin one and stop would hold all sixteen threads
of a worker, and not even liveness would be answered. A read that waits cannot be ended. So another thread
waits, and the request goes on without it.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import IO, Any

from resilience.primitives import BulkheadFullError
from zenow.server.handover import Wsgi

# Seconds for a whole body, and for a place among the bodies that are waited for.
PATIENCE = 10.0
_FOR_A_PLACE = 0.25
# The headers that show that there is a body.
_SAID = ("CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING")
# The most threads that wait for clients whose time is over, each until its client hangs up.
_LEFT_BEHIND = 64


class SlowBodies:
    """Limit the reads of bodies in a process: `waiting` requests at once, `patience` seconds for a body."""

    def __init__(self, *, waiting: int, left_behind: int = _LEFT_BEHIND, patience: float = PATIENCE) -> None:
        self.places = threading.Semaphore(waiting)
        self.readers = threading.Semaphore(left_behind)
        self.patience = patience

    def bounded(self, app: Wsgi) -> Wsgi:
        """Return the application with limited reads of `wsgi.input`.

        A read raises `TimeoutError` if it takes too long, and `BulkheadFullError` if there is no place.
        """

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environ["REQUEST_METHOD"] != "GET" or any(name in environ for name in _SAID):
                environ["wsgi.input"] = _Bounded(environ["wsgi.input"], self)
            return app(environ, start_response)

        return application


class _Bounded(io.IOBase):
    """The input of one request."""

    def __init__(self, stream: IO[bytes], bounds: SlowBodies) -> None:
        self._stream = stream
        self._bounds = bounds
        self._ends: float | None = None  # set by the first read
        self._is_late = False

    @property
    def begun(self) -> bool:
        """Whether anything was read, so that a client that waited for leave to send has it."""
        return self._ends is not None

    def read(self, size: int | None = None, /) -> bytes:
        """Return up to `size` bytes, by default all."""
        if self._is_late:
            raise TimeoutError("The body took too long.")
        if not self._bounds.places.acquire(timeout=_FOR_A_PLACE):
            raise _full("too many bodies are being waited for")
        try:
            return self._read(size)
        finally:
            self._bounds.places.release()

    def _read(self, size: int | None) -> bytes:
        if not self._bounds.readers.acquire(blocking=False):
            raise _full("too many clients have stopped in the middle of a body")
        now = time.monotonic()
        self._ends = self._ends or now + self._bounds.patience
        box: SimpleQueue[bytes | BaseException] = SimpleQueue()
        try:
            threading.Thread(target=self._fetch, args=(size, box), name="body", daemon=True).start()
        except RuntimeError as error:
            self._bounds.readers.release()
            raise _full(str(error)) from error
        try:
            got = box.get(timeout=max(0.0, self._ends - now))
        except Empty:
            self._is_late = True
            raise TimeoutError("The body took too long.") from None
        if isinstance(got, BaseException):
            raise got
        return got

    def _fetch(self, size: int | None, box: SimpleQueue[bytes | BaseException]) -> None:
        try:
            box.put(self._stream.read() if size is None or size < 0 else self._stream.read(size))
        except BaseException as error:  # noqa: BLE001, RUF100 - raised where it was asked for
            box.put(error)
        finally:
            self._bounds.readers.release()


def _full(reason: str) -> BulkheadFullError:
    return BulkheadFullError("bodies", retry_after=1.0, reason=reason)
