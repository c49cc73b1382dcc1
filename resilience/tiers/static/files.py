"""The files of the static tier: their names, which of them counts, how one takes its place.

`catalogue-<schema>-<epoch>.sqlite3`. Readers take the highest epoch of their schema, so a slow builder never
wins over one that began later. A file never changes once it has its name.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from resilience import conf
from resilience.primitives import OwnTroubleError, TierUnavailableError, own_trouble
from resilience.tiers.static import info as about
from resilience.tiers.static.declared import schema
from resilience.tiers.static.info import StaticInfo

logger = logging.getLogger("resilience.static")

_NAME = re.compile(r"catalogue-(?P<schema>[0-9a-f]{12})-(?P<epoch>\d{1,19})\.sqlite3")
_DAMAGED = ".damaged"
_ASIDE = ".building"
# How long files stay that only other versions of the code read, or that are damaged, in seconds.
_KEPT = 7 * 86_400.0
# A folder's time has the granularity of the kernel's clock: a change within the same tick leaves it as it is,
# so that a listing is trusted only when the folder was at rest before it. In nanoseconds.
_AT_REST = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StaticFile:
    """Name a file that opened well, the very one (`inode`), and what it says of itself."""

    path: Path
    inode: int
    size: int
    info: StaticInfo

    @property
    def uri(self) -> str:
        """Return the address under which SQLite neither locks nor changes it."""
        return f"{self.path.as_uri()}?mode=ro&immutable=1"


class _Listing(NamedTuple):
    """What the folder held when it was last read."""

    schema: str
    changed: int
    settled: bool
    found: StaticFile | str  # or the reason why there is none


_listings: dict[Path, _Listing] = {}  # Replaced as a whole; two threads that read the folder find the same.


def current() -> StaticFile:
    """Return the file that counts now; raise `TierUnavailableError`, saying why, when there is none.

    One `stat` of the folder, unless it has changed since.
    """
    wanted = schema()
    folder = conf.static_dir().absolute()
    try:
        changed = folder.stat().st_mtime_ns
    except OSError:
        raise TierUnavailableError("no static file has been built yet") from None
    known = _listings.get(folder)
    if known is None or not known.settled or known.changed != changed or known.schema != wanted:
        settled = abs(time.time_ns() - changed) > _AT_REST  # also where the clock was set back
        known = _Listing(wanted, changed, settled, _best(folder, wanted, known))
        _listings[folder] = known
    if isinstance(known.found, str):
        raise TierUnavailableError(known.found)
    return known.found


def _best(folder: Path, wanted: str, known: _Listing | None) -> StaticFile | str:
    reason = "no static file has been built yet"
    before = known.found if known is not None else None
    try:
        paths = _listed(folder, wanted)
    except OSError as error:
        return f"the folder of static files cannot be read: {error}"
    for path in paths:
        try:
            status = path.stat()
            it = (path, status.st_ino, status.st_size)
            if isinstance(before, StaticFile) and (before.path, before.inode, before.size) == it:
                return before
            return StaticFile(*it, _examined(path, status.st_size))
        except FileNotFoundError:
            continue  # Just replaced by a newer one.
        except (OSError, ValueError, KeyError, sqlite3.Error) as error:
            if lacked := own_trouble(error):  # of no file, and so nothing to remember
                raise TierUnavailableError(f"{path.name} cannot be opened for want of {lacked}") from error
            reason = f"{path.name} does not open: {error}"
            logger.warning("%s", reason)
    return reason


def _listed(folder: Path, wanted: str) -> list[Path]:
    """Return the files of a schema, the highest epoch first."""
    found = [(path, _NAME.fullmatch(path.name)) for path in folder.iterdir()]
    epochs = [(int(name["epoch"]), path) for path, name in found if name and name["schema"] == wanted]
    return [path for _, path in sorted(epochs, reverse=True)]


def _examined(path: Path, size: int) -> StaticInfo:
    """Return what the file says of itself; raise what is wrong with it, as far as a look can tell."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        if pages * page != size:
            raise ValueError(f"it should have {pages * page} bytes and has {size}")
        return about.read(connection)


def sound(file: StaticFile) -> bool:
    """Read the whole file and tell whether it is well; never in a request.

    Raises `OwnTroubleError` when this process cannot read it, which says nothing of the file.
    """
    try:
        with closing(sqlite3.connect(file.uri, uri=True)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.Error as error:
        if lacked := own_trouble(error):
            raise OwnTroubleError(f"{file.path.name} cannot be read for want of {lacked}") from error
        return False


def set_aside(file: StaticFile, why: object) -> None:
    """Take a damaged file out of everybody's way; what stays is for whoever looks into it."""
    logger.error(
        "the static file %s is damaged (%s): it is set aside and has to be built anew", file.path, why
    )
    try:
        if file.path.stat().st_ino == file.inode:
            file.path.rename(file.path.with_name(file.path.name + _DAMAGED))
    except OSError as error:
        logger.warning("%s could not be set aside: %s", file.path, error)
    _listings.pop(file.path.parent, None)


def next_epoch(*, rescue: bool = False) -> int:
    """Return the epoch of a file whose building begins now: higher than all there are.

    Microseconds of the wall clock, so that of two builders the one that read later wins, even after a reboot.
    With `rescue`, which stands in for a missing file, only as high as need be: any real export wins.
    """
    names = [_NAME.fullmatch(p.name.removesuffix(_DAMAGED)) for p in conf.static_dir().glob("catalogue-*")]
    above = max((int(name["epoch"]) for name in names if name), default=0) + 1
    return above if rescue else max(above, time.time_ns() // 1_000)


@contextmanager
def published(epoch: int) -> Iterator[Path]:
    """Give the path of a file to fill; at the end it is durable and takes its place, all at once.

    After an error nothing is left of it. Raises `OSError` when the folder cannot be written.
    """
    folder = conf.static_dir().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"catalogue-{schema()}-{epoch}.sqlite3"
    aside = folder / f"{target.name}.{os.getpid()}{_ASIDE}"
    aside.unlink(missing_ok=True)
    try:
        yield aside
        _sync(aside)
        aside.rename(target)
        _sync(folder)
    finally:
        aside.unlink(missing_ok=True)
    _prune(folder)


@contextmanager
def locked(what: str) -> Iterator[bool]:
    """Hold the folder's lock of this name; False, at once, when another process or thread has it."""
    folder = conf.static_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{what}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def clear_abandoned() -> None:
    """Remove what killed builders left; only for who is the only builder."""
    for path in conf.static_dir().glob(f"*{_ASIDE}"):
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prune(folder: Path) -> None:
    """Remove what nobody opens any more: of our schema all but the two highest, of others what is old."""
    ours = _listed(folder, schema())
    for path in folder.glob("catalogue-*"):
        try:
            idle = time.time() - path.stat().st_mtime
            if path in ours[2:] or (path not in ours and idle > _KEPT):
                path.unlink()
        except FileNotFoundError:
            continue  # Another builder was faster.
