"""Tell a process's own trouble from a failure of a dependency.

If a process has no descriptors, memory, threads or ports left, or gets no processor, each of its calls fails.
That says nothing about the servers that it calls. But breakers are shared by the whole host: if such failures
counted, one such process would cut all others off from healthy servers.
"""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from math import inf

from .errors import DeadlineExceededError, RejectedError
from .ticking import TICKS

DESCRIPTORS, MEMORY, THREADS, PORTS, PROCESSOR = "descriptors", "memory", "threads", "ports", "processor"

_BY_ERRNO = {
    errno.EMFILE: DESCRIPTORS,
    errno.ENFILE: DESCRIPTORS,
    errno.ENOMEM: MEMORY,
    errno.ENOBUFS: MEMORY,
    errno.EADDRNOTAVAIL: PORTS,
}
# Parts of messages, for errors without a number, such as libpq's.
_BY_WORDS = {os.strerror(number): cause for number, cause in _BY_ERRNO.items()} | {
    "out of memory": MEMORY,
    "can't start new thread": THREADS,
}
# Messages of a server about *its* shortages: libpq passes them on while there is no SQLSTATE yet.
_SERVERS_OWN = ("FATAL", "fork")
# Messages of psycopg if it does not know the cause.
_WITHOUT_CAUSE = ("no error details", "failed to resolve host")
# Connecting needs a few descriptors: for a socket, a file of names or certificates.
_SPARE = 8


class OwnTroubleError(Exception):
    """This process cannot do its work, because it lacks something itself."""


def own_trouble(error: BaseException | None, took: float = 0.0, slow_after: float = inf) -> str | None:
    """Name what this process lacked when a call ended with `error` after `took` seconds; None for nothing.

    A call that ended without an error was slow, if it took longer than `slow_after`: then it may have
    made so much of it itself that the rest is not. The error and those that it was raised from are examined.
    If they show no cause (libpq, SQLite and name look-ups do not mention descriptors), try whether any are
    left.
    """
    if error is None:
        return PROCESSOR if slow_after < took <= slow_after + TICKS.delay_within(took) else None
    if isinstance(error, RejectedError):
        return None  # nothing was called
    says_nothing = timed_out = False
    missed = 0.0  # of the time that its socket would have given it
    for one in within(error):
        if cause := _cause(one):
            return cause
        says_nothing = says_nothing or _says_nothing(one)
        timed_out = timed_out or _is_a_time_out(one)
        missed = max(missed, getattr(one, "missed", 0.0))
    if says_nothing and not _descriptors_left():
        return DESCRIPTORS
    if timed_out and (TICKS.late_within(took) or 0.0 < missed <= TICKS.lateness_within(took)):
        return PROCESSOR
    return None


def _cause(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(said := getattr(error, "own_trouble", None), str):
        return said  # an error of a limit that the process has set itself
    if isinstance(error, socket.gaierror):
        return MEMORY if error.errno == socket.EAI_MEMORY else None
    if isinstance(error, OSError) and error.errno in _BY_ERRNO:
        return _BY_ERRNO[error.errno]
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0)
        return MEMORY if code & 0xFF == sqlite3.SQLITE_NOMEM or code == sqlite3.SQLITE_IOERR_NOMEM else None
    if isinstance(error, RuntimeError) or getattr(error, "sqlstate", "") is None:
        return _in_words(str(error))
    return None


def _in_words(text: str) -> str | None:
    lines = [line for line in text.splitlines() if not any(word in line for word in _SERVERS_OWN)]
    return next((cause for words, cause in _BY_WORDS.items() for line in lines if words in line), None)


def _says_nothing(error: BaseException) -> bool:
    if isinstance(error, socket.gaierror):
        return True
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
    return getattr(error, "sqlstate", "") is None and any(words in str(error) for words in _WITHOUT_CAUSE)


def _is_a_time_out(error: BaseException) -> bool:
    return isinstance(error, TimeoutError | DeadlineExceededError) or getattr(error, "timed_out", False)


def _descriptors_left() -> bool:
    opened: list[int] = []
    try:
        while len(opened) < _SPARE:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    finally:
        for descriptor in opened:
            with suppress(OSError):
                os.close(descriptor)
    return True


def within(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, the errors that it was raised from, and those wrapped in it, outermost first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting and len(seen) < 16:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        shown = None if one.__suppress_context__ else one.__context__
        waiting += [one.__cause__ or shown, getattr(one, "reason", None), *one.args]
