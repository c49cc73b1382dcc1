"""Opens the file, and tells from its first bytes whether it is text that can be read."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from learn.importing.errors import UnreadableError

MAX_RECORD = 256 * 1024
"""The most characters of a row, which bounds its memory; a longer row is rejected."""

_HEAD = 4096
_SIGNATURES = (
    (b"\xff\xfe\x00\x00", "UTF-32 text: save it as UTF-8"),
    (b"\x00\x00\xfe\xff", "UTF-32 text: save it as UTF-8"),
    (b"\xff\xfe", "UTF-16 text: save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text: save it as UTF-8"),
    (b"PK\x03\x04", "a ZIP archive or a workbook: save the sheet as CSV, UTF-8"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"SQLite format 3\x00", "an SQLite database: export a table as CSV"),
)


class Source(NamedTuple):
    """An open file: its text, in which bytes that are not UTF-8 are lone surrogates, and its raw bytes."""

    text: io.TextIOWrapper
    raw: io.FileIO
    size: int
    looks_like_json: bool


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a file of UTF-8 text, with or without a byte order mark.

    Raises UnreadableError if the file does not exist or may not be read, if it is not an ordinary file (a
    pipe or a device may never end), if it is empty, or if its first bytes are not text.
    """
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer, perhaps for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnreadableError(f"{path}: cannot be opened: {reason}.") from error
    try:
        status = os.fstat(descriptor)
        _check_kind(status.st_mode, path)
        raw = io.FileIO(descriptor, "r")
    except BaseException:
        os.close(descriptor)
        raise
    with raw:
        head = _head(raw, path)
        raw.seek(0)
        buffered = io.BufferedReader(raw, 128 * 1024)
        with io.TextIOWrapper(buffered, "utf-8-sig", errors="surrogateescape", newline="") as text:
            first = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            yield Source(text, raw, status.st_size, first in {b"[", b"{"})


def _check_kind(mode: int, path: Path) -> None:
    if stat.S_ISDIR(mode):
        raise UnreadableError(f"{path}: is a directory. Name a file in it.")
    if not stat.S_ISREG(mode):
        raise UnreadableError(
            f"{path}: is not an ordinary file but a pipe, a socket or a device. "
            "Write the input to a file first."
        )


def _head(raw: io.FileIO, path: Path) -> bytes:
    try:
        head = raw.read(_HEAD) or b""
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read: {error.strerror}.") from error
    for signature, what in _SIGNATURES:
        if head.startswith(signature):
            raise UnreadableError(f"{path}: is {what}.")
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise UnreadableError(f"{path}: is empty.")
    if head.count(0) * 5 > len(head):
        raise UnreadableError(
            f"{path}: holds many NUL bytes: UTF-16 text (save it as UTF-8) or no text at all."
        )
    return head
