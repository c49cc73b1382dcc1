"""The host's journal: lines of JSON in a local folder, so that events can be written whatever else is down.

Events are written to `events.jsonl`. When it has reached `ROTATED_AT` bytes and is copied into the database,
it is renamed `pending-….jsonl`. When its last lines are copied too, it is renamed `kept-….jsonl`. The oldest
kept files are deleted first.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from resilience import conf

CURRENT = "events.jsonl"
ROTATED_AT = 1_048_576
"""Bytes of a file at which it is set aside, once it is copied."""
KEPT = 16 * 1_048_576
"""Bytes of all kept files together."""
LONGEST = 65_536
"""Bytes of a line."""

# How many times a line is written again because the file was set aside during the write.
_ATTEMPTS = 100


class JournalFullError(OSError):
    """The journal has reached its limit, because its lines cannot be copied into the database."""


class Journal:
    """The journal in one folder. Any number of processes may write, read and rotate at the same time.

    Note [No line is lost to a rename]
    There is no lock. The process that sets a file aside first renames it, and then reads it to its end. A
    process that has written a line checks whether the name still leads to the file it wrote to. If not, it
    writes the line again, into the new file. So each line is in the old file when that is read, or in the
    new one, or in both. Readers count it once, by its id.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        self.directory = directory
        self.current = directory / CURRENT
        self._limit = limit

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one line. Raises `OSError` if it cannot be written or has more than `LONGEST` bytes.

        Raises `JournalFullError` if the journal has reached its limit.
        """
        # The leading newline ends the line before, of which a full disk may have taken only a part.
        line = b"\n" + json.dumps(entry, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        if len(line) > LONGEST:
            raise OSError(errno.EMSGSIZE, f"a line of {len(line)} bytes; {LONGEST} are the most")
        for _ in range(_ATTEMPTS):
            file = self._open()
            try:
                if os.fstat(file).st_size + len(line) > self._limit:
                    raise JournalFullError(errno.EFBIG, f"the journal has its {self._limit} bytes")
                if os.write(file, line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                # See Note [No line is lost to a rename].
                if self._is_current(file):
                    return
            finally:
                os.close(file)
        raise OSError(errno.EAGAIN, "the journal was set aside again and again")

    def rotate(self) -> None:
        """Set the current file aside: it becomes a pending one."""
        aside = self.directory / f"pending-{time.time_ns():020}-{os.getpid()}.jsonl"
        try:
            self.current.rename(aside)
        except FileNotFoundError:
            return  # another process has just done this, or nothing was ever written

    def pending(self) -> list[Path]:
        """Return the files that were set aside and may hold lines not yet copied, oldest first."""
        return sorted(self.directory.glob("pending-*.jsonl"))

    def keep(self, path: Path) -> None:
        """Make a kept file of a pending one whose lines are copied; delete the oldest beyond `KEPT` bytes."""
        # If this steward was stopped for a while, another one may have renamed or deleted the files.
        with suppress(FileNotFoundError):
            path.replace(path.with_name(path.name.replace("pending", "kept", 1)))
        room = KEPT
        for kept in sorted(self.directory.glob("kept-*.jsonl"), reverse=True):
            with suppress(FileNotFoundError):
                room -= kept.stat().st_size
                if room < 0:
                    kept.unlink()

    def entries(self, since: float = 0.0) -> Iterator[dict[str, Any]]:
        """Yield what was written since then (wall seconds), each once, newest file first."""
        seen: set[str] = set()
        kept = sorted(self.directory.glob("kept-*.jsonl"), reverse=True)
        for path in (self.current, *reversed(self.pending()), *kept):
            try:
                if path.stat().st_mtime < since:
                    continue
                written = path.read_bytes()
            except FileNotFoundError:
                continue  # renamed meanwhile: its lines are in the database, or are read next time
            for entry in parsed(written):
                if entry["at"] >= since and entry["id"] not in seen:
                    seen.add(entry["id"])
                    yield entry

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            owner = self.directory.stat().st_uid
        except FileNotFoundError:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = os.geteuid()
        if owner != os.geteuid():
            # A file that root made here could not be written by the servers.
            raise PermissionError(errno.EPERM, f"{self.directory} belongs to user {owner}, not to this one")
        return os.open(self.current, flags, 0o600)

    def _is_current(self, file: int) -> bool:
        mine = os.fstat(file)
        try:
            named = self.current.stat()
        except FileNotFoundError:
            return False
        return (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)


def journal() -> Journal:
    """Return the journal in the folder that the settings name."""
    return Journal(conf.events_dir(), int(conf.get("EVENTS_LIMIT")))


def parsed(lines: bytes) -> Iterator[dict[str, Any]]:
    """Yield the entries; skip a line of which a crash or a full disk has left only a part."""
    for line in lines.split(b"\n"):
        if not line:
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("id"), str) and _is_time(entry.get("at")):
            yield entry


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1e11
