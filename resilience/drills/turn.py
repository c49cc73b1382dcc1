"""One drill at a time on a host, and an end of it that is asked for from outside."""

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
    """Have the host's only drill during the block; raise RuntimeError while another has it.

    The kernel takes it back with the process, however that ends.
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
    """Note Ctrl-C, SIGTERM and SIGHUP during the block, in place of being cut off anywhere by them."""
    asked = threading.Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in _ENDS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
