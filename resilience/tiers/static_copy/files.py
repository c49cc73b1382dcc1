"""The files of the static tier: their names, which one counts, and how a new one replaces it.

A name is `catalogue-<schema>-<epoch>.sqlite3`. Readers take the highest epoch of their schema, so a slow
builder never wins over one that began later. A file never changes once it has its name.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from resilience.primitives import OwnTroubleError, TierUnavailableError, own_trouble
from resilience.primitives.aside import SUFFIX, written_aside
from resilience.tiers.static_copy import folders
from resilience.tiers.static_copy import info as about
from resilience.tiers.static_copy.declared import schema
from resilience.tiers.static_copy.info import StaticInfo

logger = logging.getLogger("resilience.static")

_NAME = re.compile(r"catalogue-(?P<schema>[0-9a-f]{12})-(?P<epoch>\d{1,19})\.sqlite3")
_DAMAGED = ".damaged"
# Seconds for which damaged files and those of other versions of the code are kept.
_KEPT = 7 * 86_400.0
# In nanoseconds. Two changes of a folder within one tick of the kernel's clock give it the same time. So a
# listing is trusted only if the folder had been at rest for this long.
_AT_REST = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file that could be opened: its path, its identity (`inode`), and what it records about itself."""

    path: Path
    inode: int
    size: int
    info: StaticInfo

    @property
    def uri(self) -> str:
        """Return a URI by which SQLite neither locks nor changes the file."""
        return f"{self.path.as_uri()}?mode=ro&immutable=1"


class _Listing(NamedTuple):
    """What the folder held when it was last read."""

    schema: str
    changed: int
    settled: bool
    found: StaticFile | str  # or the reason why there is none


_listings: dict[Path, _Listing] = {}  # replaced as a whole: two threads that read the folder find the same


def current() -> StaticFile:
    """Return the file that counts now; raise `TierUnavailableError` with the reason if there is none.

    It costs one `stat` of each folder, unless the folder has changed.
    """
    wanted = schema()
    found = [_current(folder, wanted) for folder in folders.folders()]
    files = [each for each in found if isinstance(each, StaticFile)]
    if not files:
        raise TierUnavailableError(str(found[0]))
    return files[0] if len(files) == 1 else max(files, key=lambda file: _epoch(file.path))


def _current(folder: Path, wanted: str) -> StaticFile | str:
    """Return the newest file of one folder, or why there is none."""
    try:
        changed = folder.stat().st_mtime_ns
    except OSError:
        return "no static copy has been built yet"
    known = _listings.get(folder)
    if known is None or not known.settled or known.changed != changed or known.schema != wanted:
        settled = abs(time.time_ns() - changed) > _AT_REST  # also where the clock was set back
        known = _Listing(wanted, changed, settled, _best(folder, wanted, known))
        _listings[folder] = known
    return known.found


def _epoch(path: Path) -> int:
    name = _NAME.fullmatch(path.name.removesuffix(_DAMAGED))
    return int(name["epoch"]) if name else 0


def _best(folder: Path, wanted: str, known: _Listing | None) -> StaticFile | str:
    reason = "no static copy has been built yet"
    before = known.found if known is not None else None
    try:
        paths = _listed(folder, wanted)
    except OSError as error:
        _refuse_own_trouble(folder, error)
        return f"the folder of static copies cannot be read: {error}"
    for path in paths:
        try:
            status = path.stat()
            it = (path, status.st_ino, status.st_size)
            if isinstance(before, StaticFile) and (before.path, before.inode, before.size) == it:
                return before
            return StaticFile(*it, _examined(path, status.st_size))
        except FileNotFoundError:
            continue  # a newer file has just replaced it
        except (OSError, ValueError, KeyError, sqlite3.Error) as error:
            _refuse_own_trouble(path, error)
            reason = f"{path.name} does not open: {error}"
            logger.warning("%s", reason)
    return reason


def _refuse_own_trouble(path: Path, error: Exception) -> None:
    """Raise `TierUnavailableError` if this process is at fault, not the file: that is not remembered."""
    if lacked := own_trouble(error):
        raise TierUnavailableError(
            f"{path.name} cannot be opened for want of {lacked}", reason="unavailable"
        ) from error


def _listed(folder: Path, wanted: str) -> list[Path]:
    """Return the files of a schema, the highest epoch first."""
    found = [(path, _NAME.fullmatch(path.name)) for path in folder.iterdir()]
    epochs = [(int(name["epoch"]), path) for path, name in found if name and name["schema"] == wanted]
    return [path for _, path in sorted(epochs, reverse=True)]


def _examined(path: Path, size: int) -> StaticInfo:
    """Return what the file records about itself; raise `ValueError` if its size is wrong."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        if pages * page != size:
            raise ValueError(f"it should have {pages * page} bytes and has {size}")
        return about.read(connection)


def sound(file: StaticFile) -> bool:
    """Read the whole file and tell whether it is sound. It is too slow for a request.

    Raises `OwnTroubleError` if this process cannot read it for a reason of its own.
    """
    try:
        with closing(sqlite3.connect(file.uri, uri=True)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.Error as error:
        if lacked := own_trouble(error):
            raise OwnTroubleError(f"{file.path.name} cannot be read for want of {lacked}") from error
        return False


def set_aside(file: StaticFile, why: object) -> None:
    """Rename a damaged file, so that no reader opens it; people can still examine it."""
    logger.error(
        "the static copy %s is damaged (%s): it is set aside, and a new one has to be built", file.path, why
    )
    try:
        if file.path.stat().st_ino == file.inode:
            file.path.rename(file.path.with_name(file.path.name + _DAMAGED))
    except OSError as error:
        logger.warning("%s could not be set aside: %s", file.path, error)
    _listings.pop(file.path.parent, None)


def next_epoch(*, rescue: bool = False) -> int:
    """Return the epoch of a file whose building begins now: higher than any existing one.

    It is the wall clock in microseconds, so that of two builders the one that read later wins, even after a
    reboot. With `rescue`, for a file that replaces a missing one, it is only one higher: any export wins.
    """
    found = [path for folder in folders.folders() for path in folder.glob("catalogue-*")]
    above = max(map(_epoch, found), default=0) + 1
    return above if rescue else max(above, time.time_ns() // 1_000)


@contextmanager
def published(folder: Path, epoch: int) -> Iterator[Path]:
    """Yield the path of a file to fill; at the end it is made durable and gets its name in one step.

    After an error nothing is left of it. Raises `OSError` if the folder cannot be written.
    """
    target = folder / f"catalogue-{schema()}-{epoch}.sqlite3"
    with written_aside(target, durable=True) as aside:
        yield aside
    for each in folders.folders():
        # This file is newer than all others. Old ones may lie where nothing can be removed.
        with contextlib.suppress(OSError):
            _prune(each, keeping=2 if each == folder or each == folders.chosen() else 0)


@contextmanager
def locked(what: str) -> Iterator[bool]:
    """Hold the host's lock of this name; yield False, at once, if another process or thread has it.

    Raises `OSError` if no folder can be written.
    """

    def take(folder: Path) -> TextIO | None:
        lock = (folder / f"{what}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        except OSError as error:
            # A file system without locks: two may build at once, and the newer file wins.
            logger.warning("%s cannot be locked: %s", folder, error)
        return lock

    lock = folders.in_one_that_takes_it(take)
    if lock is None:
        yield False
        return
    with lock:
        yield True


def clear_abandoned() -> None:
    """Remove files that killed builders left. Only for the holder of the lock `build`."""
    for folder in folders.folders():
        for path in folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _prune(folder: Path, *, keeping: int) -> None:
    """Remove files that nobody opens: of our schema all but the newest `keeping`, of others the old ones."""
    ours = _listed(folder, schema())
    for path in folder.glob("catalogue-*"):
        try:
            idle = time.time() - path.stat().st_mtime
            if path in ours[keeping:] or (path not in ours and idle > _KEPT):
                path.unlink()
        except FileNotFoundError:
            continue  # Another builder was faster.
