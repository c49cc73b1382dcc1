"""The folders that a server writes to: whether each can be written, and what is done without it."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from resilience import conf, registry
from resilience.journal import events
from resilience.primitives import own_trouble
from resilience.primitives.store.folder import refuse_another_owner, user

logger = logging.getLogger("resilience.folders")

# The content of a test file: a full disk may still take an empty file.
_PAGE = bytes(4096)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder: its name, its setting, its path, and what happens without it."""

    name: str
    setting: str
    path: Callable[[], Path]
    without: str


FOLDERS = (
    Folder(
        name="store",
        setting="RESILIENCE_DIR",
        path=conf.directory,
        without="each process counts alone",
    ),
    Folder(
        name="static",
        setting="STATIC_DIR",
        path=conf.static_dir,
        without="no copy can be written where it belongs",
    ),
    Folder(
        name="events",
        setting="RESILIENCE_EVENTS_DIR",
        path=conf.events_dir,
        without="events are not kept",
    ),
)


def wanted() -> list[Folder]:
    """Return the folders that this project needs; only one with a static tier has a static copy."""
    found = [folder for folder in FOLDERS if folder.name != "static" or conf.get("FALLBACK") is not None]
    database = settings.DATABASES.get("default", {})
    if str(database.get("ENGINE", "")).endswith("sqlite3") and _is_a_file(str(database["NAME"])):
        found.append(
            Folder(
                name="database",
                setting="the SQLite database",
                path=lambda: Path(database["NAME"]).absolute().parent,
                without="no write is stored",
            )
        )
    return found


def _is_a_file(name: str) -> bool:
    return bool(name) and ":memory:" not in name and not name.startswith("file:")


def wrong_at_a_look(path: Path) -> str:
    """Say what is wrong with a folder, or the one to make it in, by owner and mode; "" if nothing is.

    Nothing is written.
    """
    try:
        folder = _there(path)
        found = folder.stat()
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is a file"
    me = os.geteuid()
    if folder == path and found.st_uid != me:
        return f"{folder} belongs to user {user(found.st_uid)}, and this is {user(me)}"
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        return f"{folder}{'' if folder == path else f', in which {path} is to be made,'} cannot be written"
    return ""


def wrong_at_a_try(path: Path, *, make: bool = True) -> str:
    """Try to write a file into a folder and remove it; return why that failed, "" if it did not.

    A missing folder is made; without `make`, the one to make it in is tried. Raises `OSError` if this process
    lacks something, since that is no fault of the folder.
    """
    try:
        if make:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = path if make else _there(path)
        if folder == path:
            refuse_another_owner(path, path.stat().st_uid)
        probe = folder / f".try-{secrets.token_hex(8)}"
        file = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.write(file, _PAGE) != len(_PAGE):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(file)
            probe.unlink()
    except OSError as error:
        if own_trouble(error):
            raise
        why = error.strerror or str(error)
        return why if str(path) in why else f"{path}: {why}"
    return ""


def another_user() -> str:
    """Name the user whose servers use the store of this host, if it is another user; else return ""."""
    path, me = conf.directory(), os.geteuid()
    # The default folder has the user's number in its name. Look at its siblings.
    parts = path.name.split(str(me), 1)
    places = [path, *(path.parent.glob("*".join(parts)) if len(parts) == 2 else ())]
    for place in places:
        try:
            owner = place.stat().st_uid
            served = any(place.glob(f"{conf.namespace()}-v*.store"))
        except OSError:
            continue
        if owner != me and (served or place == path):
            return f"The servers' store at {place} is of user {user(owner)}, and this is {user(me)}."
    return ""


def _there(path: Path) -> Path:
    """Return the folder, or if it is missing, the nearest existing one above it."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def run(_epoch: int) -> None:
    """Try each folder, and note in the store which ones fail; each change is logged and recorded once."""
    before = registry.store().folders.read()
    found = {folder.name: _wrong(folder) for folder in wanted()}
    if found == before:
        return
    registry.store().folders.write(found)
    for folder in wanted():
        why, was = found[folder.name], before.get(folder.name, "")
        if bool(why) == bool(was):
            continue
        if why:
            logger.warning("%s; so %s. Set %s, or see to it", why, folder.without, folder.setting)
        else:
            logger.info("%s can be written again", folder.path())
        told = why or f"{folder.path()} can be written again"
        events.record("folder", folder=folder.name, usable=not why, why=told)


def _wrong(folder: Folder) -> str:
    if folder.name != "store":
        return wrong_at_a_try(folder.path())
    store = registry.store()
    if store.kind == "local":
        return store.why
    return "" if registry.shared() else "a breaker has no place in the store"


def without() -> dict[str, str]:
    """Return, by folder, what happens on the host because it cannot be written; "" if it can be.

    A folder that was not tried yet is left out. Each server process knows about the store by itself.
    """
    store = registry.store()
    known = store.folders.read()
    found = {each.name: each.without if known[each.name] else "" for each in wanted() if each.name in known}
    if store.is_server and (store.kind == "host" or store.why):
        found["store"] = "" if registry.shared() else FOLDERS[0].without
    return found


def notices() -> list[str]:
    """Return a sentence for each folder that cannot be written."""
    named = {folder.name: folder.setting for folder in wanted()}
    return [
        f"{what[0].upper()}{what[1:]}: the folder of {named[name]} cannot be used."
        for name, what in without().items()
        if what
    ]
