"""Output that nobody waits for: requests go on even if the reader of a log stops or its disk is full.

A thread that writes to a pipe, a terminal or a socket that nobody reads hangs as soon as that is full. As
`logging` holds a lock meanwhile, every other thread that logs hangs too. `unblock()` puts a queue and a
thread before standard output and standard error, for all that Python writes there: handlers of `logging`,
warnings, tracebacks, `print`. There is no Django in here, since a supervisor needs it too.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import select
import sys
import threading
import time
import weakref
from contextlib import suppress
from queue import SimpleQueue

logger = logging.getLogger("resilience.logs")

# The most bytes that may wait for standard output, and for standard error.
ROOM = 4 * 1_048_576
# Seconds for which the end of a process waits until its last lines are written.
_LAST_LINES = 1.0

_streams: weakref.WeakSet[QueuedStream] = weakref.WeakSet()
# Marks a thread that is counting a dropped line: it must not log meanwhile.
_counting = threading.local()


def unblock() -> None:
    """Queue the output of this process, so that no thread waits for its readers. For servers only.

    Handlers that were configured before use the queue too, except those of files and sockets.
    """
    for name in ("stdout", "stderr"):
        before = getattr(sys, name)
        try:
            queued = QueuedStream(before.fileno(), buffer=getattr(before, "buffer", None))
        except (AttributeError, OSError):
            continue  # there is no stream, or it is in memory
        if isinstance(before, QueuedStream):
            continue
        before.flush()
        setattr(sys, name, queued)
        for handler in _handlers():
            if isinstance(handler, logging.StreamHandler) and handler.stream is before:
                handler.setStream(queued)


class QueuedStream(io.TextIOBase):
    """A text file whose `write` only queues; a thread writes to the file descriptor, in order.

    While `room` bytes wait, further lines are dropped and counted as ("dropped", "log_lines"). Their number
    is logged as soon as the queue is empty. Lines that the system does not take (a full disk, a pipe without
    a reader) are counted likewise.
    """

    encoding = "utf-8"

    def __init__(self, descriptor: int, *, room: int = ROOM, buffer: object = None) -> None:
        self._descriptor = descriptor
        self.buffer = buffer  # for writing bytes, past the queue
        self._room = room
        self._start_anew()
        _streams.add(self)

    def _start_anew(self) -> None:
        """Forget the thread and the queue: in a forked child both are the parent's."""
        # Guards the counts. Nothing is called while it is held: between calls Python runs signal handlers and
        # finalizers of what it collects, and those may write here too, in the same thread.
        self._guard = threading.Lock()
        self._pieces: SimpleQueue[bytes] = SimpleQueue()
        self._started = False
        self._waiting = 0  # bytes
        self._missing = 0

    def write(self, text: str) -> int:
        """Queue a text; it is written or dropped as a whole."""
        piece = text.encode(errors="backslashreplace")
        size = len(piece)
        with self._guard:
            taken = self._waiting + size <= self._room
            if taken:
                self._waiting += size
            else:
                self._missing += 1
            starts, self._started = not self._started, True
        if starts:
            self._start()
        if taken:
            self._pieces.put(piece)
        else:
            _count()
        return len(text)

    def _start(self) -> None:
        started = False
        try:
            with suppress(RuntimeError):  # no thread can be had: the next line tries again
                threading.Thread(target=self._work, name="resilience-output", daemon=True).start()
                started = True
        finally:
            self._started = started

    def flush(self) -> None:
        """Do nothing: `logging` calls this after each line. `drain` waits."""

    def drain(self, seconds: float) -> None:
        """Wait until all is written, for `seconds` at most."""
        until = time.monotonic() + seconds
        while self._started and self._waiting and time.monotonic() < until:
            time.sleep(0.002)

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def _work(self) -> None:
        while True:
            piece = self._pieces.get()
            size, written = len(piece), self._write(piece)
            with self._guard:
                self._waiting -= size
                self._missing += not written
                missing = self._missing if written and not self._waiting else 0
                self._missing -= missing
            if not written:
                _count()
            if missing:
                logger.warning("%d lines of this log are missing: its reader or disk was too slow", missing)

    def _write(self, piece: bytes) -> bool:
        """Write a piece; return False if that fails."""
        rest = memoryview(piece)
        try:
            while rest:
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:  # another program has made the shared pipe non-blocking
                    select.select([], [self._descriptor], [], 1.0)
        except OSError:
            return False
        return True


def _handlers() -> list[logging.Handler]:
    named = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    return [handler for one in (logging.root, *named) for handler in one.handlers]


def _count() -> None:
    """Count a dropped line, if there is a store."""
    registry = sys.modules.get("resilience.registry")
    if registry is None or getattr(_counting, "busy", False):
        return
    _counting.busy = True
    try:
        registry.store().counters.add("dropped", "log_lines")
    except Exception:
        return  # the log itself says how many lines are missing
    finally:
        _counting.busy = False


def _drain_all() -> None:
    for stream in list(_streams):
        stream.drain(_LAST_LINES)


def _forget_after_fork() -> None:
    for stream in list(_streams):
        stream._start_anew()


os.register_at_fork(after_in_child=_forget_after_fork)
atexit.register(_drain_all)
