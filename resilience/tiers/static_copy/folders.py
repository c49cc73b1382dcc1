"""Where static copies may lie: the folder of the settings, and others while that cannot be written.

A disk may be full or read-only. Even then an outage may come, and an entry that is hidden has to go out of
the copy too. So a file that does not fit into the folder of the settings is written beside the host's store,
which mostly lies in memory, else among the temporary files. Readers look into all folders, and take the
newest file.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from resilience import conf
from resilience.primitives.store.folder import ensure, inner

T = TypeVar("T")

logger = logging.getLogger("resilience.static")

# SQLite's errors if a folder or disk cannot be written.
_UNWRITABLE = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR")


def folders() -> list[Path]:
    """Return the folders to read from: that of the settings, then those others that only we may write to."""
    return [chosen(), *(folder for folder in _stand_ins() if _is_ours(folder))]


def chosen() -> Path:
    """Return the folder of the settings."""
    return conf.static_dir().absolute()


def in_one_that_takes_it(write: Callable[[Path], T]) -> T:
    """Call `write` with the first folder that can be written; return what it returns.

    If a folder proves to be full, `write` is called again with the next one. Raises the first folder's error
    if all fail; an error that is not a folder's fault is raised at once.
    """
    first: Exception | None = None
    for folder in (chosen(), *_stand_ins()):
        try:
            _make(folder)
            return write(folder)
        except Exception as error:
            if not _is_of_the_folder(error):
                raise
            logger.warning("%s takes no static copy: %s", folder, error)
            first = first or error
    assert first is not None  # noqa: S101 - there is one folder at least
    raise first


def _stand_ins() -> Iterator[Path]:
    """Yield the folders that stand in for that of the settings. Only a server makes the store's."""
    name = f"static-tier-{_short(str(conf.static_dir(inside=False)))}"
    store = conf.directory()
    if _is_ours(store):
        yield store.absolute() / name
    yield inner(Path(os.environ.get("TMPDIR") or "/tmp"), name)  # noqa: S108 - it must be ours


@lru_cache(maxsize=8)
def _short(path: str) -> str:
    """Return a short name that differs for each folder of the settings."""
    return hashlib.blake2b(path.encode(), digest_size=6).hexdigest()


def _make(folder: Path) -> None:
    if folder == chosen() and folder == conf.static_dir(inside=False).absolute():
        folder.mkdir(parents=True, exist_ok=True)
    else:
        ensure(folder)


def _is_ours(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _is_of_the_folder(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorname", "").startswith(_UNWRITABLE)
    if error is None or isinstance(error, OSError):
        return error is not None
    # Django wraps some errors of SQLite, and replaces others.
    return _is_of_the_folder(error.__cause__ or error.__context__)
