"""The host's journal: lines of JSON in a local folder, written at once whatever else is down.

`events.jsonl` is written to. When it has grown and its lines are in the database it is set aside as
`pending-….jsonl`, and as `kept-….jsonl` once the last of them is; the oldest of those go first.
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
# A file of this size is set aside once it is copied. Files set aside are kept, up to as many bytes.
ROTATED_AT = 1_048_576
KEPT = 16 * 1_048_576
LONGEST = 65_536
"""Bytes of a line."""

# How often a line is written again because the file was set aside under the writer's hands.
_ATTEMPTS = 100


class JournalFullError(OSError):
    """The journal has its full size, and its lines cannot be copied into the database."""


class Journal:
    """The journal in one folder. Any number of processes may write, read and rotate at the same time.

    Note [No line is lost to a rename]
    There is no lock. A process that sets a file aside renames it first, and reads it to its end afterwards.
    A process that has written looks whether the name still names the file that it wrote to; if not, it writes
    again, into the new file. So each line is read in the old file or stands in the new one. It may stand in
    both: it has an id, and readers count it once.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        self.directory = directory
        self.current = directory / CURRENT
        self._limit = limit

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one line. Raise `OSError` when it cannot be written, or is too much."""
        # The leading newline ends what a full disk may have left of the line before.
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
        """Set the file that is written to aside; it is `pending` then."""
        aside = self.directory / f"pending-{time.time_ns():020}-{os.getpid()}.jsonl"
        try:
            self.current.rename(aside)
        except FileNotFoundError:
            return  # Another one has just done so, or nothing was ever written.

    def pending(self) -> list[Path]:
        """Return the files that were set aside and are not known to be in the database, oldest first."""
        return sorted(self.directory.glob("pending-*.jsonl"))

    def keep(self, path: Path) -> None:
        """Note that all of a pending file is in the database; drop the oldest of such files beyond `KEPT`."""
        # A steward that was stopped may find that another has done all this.
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
                continue  # Renamed since; what it says stands in the database, or is read next time.
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
            # A file of root's would keep the servers from writing.
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
    """Return the journal that the settings name."""
    return Journal(conf.events_dir(), int(conf.get("EVENTS_LIMIT")))


def parsed(lines: bytes) -> Iterator[dict[str, Any]]:
    """Yield the entries; what a crash or a full disk left of a line is none."""
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
