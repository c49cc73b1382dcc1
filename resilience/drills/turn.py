"""Allow one drill at a time on a host, and let signals end it in order."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from resilience import conf

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def turn(who: str) -> Iterator[None]:
    """Hold the lock of drills on the host in the block; raise RuntimeError if another drill holds it.

    The kernel releases it when the process ends, in any way.
    """
    with (conf.directory() / "drill").open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            by = file.read(200).decode(errors="replace").strip() or "somebody"
            raise RuntimeError(f"another drill is under way, by {by}") from error
        file.truncate(0)
        file.write(f"{who} (pid {os.getpid()})\n".encode())
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                file.truncate(0)


@contextmanager
def noted() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C, SIGTERM and SIGHUP set during the block; they interrupt nothing."""
    asked = threading.Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in _ENDS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
