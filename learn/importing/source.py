"""Opens the file as text, or says from its first bytes why that is impossible."""

from __future__ import annotations

import codecs
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from learn.importing.encoding import Encoding, named, of_file
from learn.importing.errors import UnreadableError

MAX_RECORD = 256 * 1024
"""The most characters of a row, which bounds its memory; a longer row is rejected."""

_HEAD = 4096
_SIGNATURES = (
    (b"PK\x03\x04", "a ZIP archive or a workbook: save the sheet as CSV, UTF-8"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"SQLite format 3\x00", "an SQLite database: export a table as CSV"),
)


class Source(NamedTuple):
    """An open file: its text, its raw bytes, their number, and how they are encoded.

    A byte that the encoding does not have is a lone surrogate in the text.
    """

    text: io.TextIOWrapper
    raw: io.FileIO
    size: int
    encoding: Encoding
    looks_like_json: bool


@contextmanager
def opened(path: Path, encoding: str | None = None) -> Iterator[Source]:
    """Open a file of text. Without an `encoding` it is told from the file, if need be by a guess.

    Raises UnreadableError if the file does not exist or may not be read, if it is not an ordinary file (a
    pipe or a device may never end), if it is empty, or if it is not text.
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
        how = of_file(raw, head) if encoding is None else named(encoding)
        raw.seek(0)
        first = head.decode(how.name, "ignore").lstrip()[:1]
        buffered = io.BufferedReader(raw, 128 * 1024)
        with io.TextIOWrapper(buffered, how.name, errors="surrogateescape", newline="") as text:
            try:
                yield Source(text, raw, status.st_size, how, first in {"[", "{"})
            except UnicodeDecodeError as error:
                raise UnreadableError(
                    f"Reading ended at bytes that are not {how.name}: name another encoding with --encoding."
                ) from error


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
    if not head.removeprefix(codecs.BOM_UTF8).strip():
        raise UnreadableError(f"{path}: is empty.")
    return head
