"""Tell what is a process's own trouble from a failure of what it calls.

A process without descriptors, memory, threads or ports, or one that gets no processor, fails at every call.
That says nothing of the servers that it calls. But breakers are shared by a whole host: if such failures
counted, one such process would turn all others away from servers that are well.
"""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import suppress

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
# Where the number is lost, as in libpq's messages.
_BY_WORDS = {os.strerror(number): cause for number, cause in _BY_ERRNO.items()} | {
    "out of memory": MEMORY,
    "can't start new thread": THREADS,
}
# What a server says of *its* lack of something: libpq hands its words on, before it has a SQLSTATE.
_SERVERS_OWN = ("FATAL", "fork")
# What psycopg says where it was told no cause.
_WITHOUT_CAUSE = ("no error details", "failed to resolve host")
# Connecting takes a few: a socket, a file of names or certificates.
_SPARE = 8


class OwnTroubleError(Exception):
    """This process cannot do its work, for want of something of its own."""


def own_trouble(error: BaseException | None, took: float = 0.0) -> str | None:
    """Name what this process lacked when a call ended with `error` after `took` seconds; None for nothing.

    A call that ended without an error was slow.
    The error is looked into, and so is what it was raised from. Where a library tells no cause (libpq, SQLite
    and a look-up of names say nothing of descriptors), it is tried whether there are any left.
    """
    if error is None:
        return PROCESSOR if TICKS.late_within(took) else None
    if isinstance(error, RejectedError):
        return None  # nothing was called
    says_nothing = timed_out = False
    for one in within(error):
        if cause := _cause(one):
            return cause
        says_nothing = says_nothing or _says_nothing(one)
        timed_out = timed_out or _is_a_time_out(one)
    if says_nothing and not _descriptors_left():
        return DESCRIPTORS
    return PROCESSOR if timed_out and TICKS.late_within(took) else None


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
    """Yield an error, what it was raised from, and the errors that libraries wrap in it, outermost first."""
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
