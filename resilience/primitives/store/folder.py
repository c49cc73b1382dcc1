"""A folder of this user's alone, also inside one where everybody may write."""

import contextlib
import errno
import os
import pwd
import stat
from pathlib import Path


def own(path: Path) -> Path:
    """Return the folder to use in place of `path`; nothing is made.

    That is `path` itself, or where others may write into it, a folder inside it with this user's number: a
    volume of an orchestrator (an `emptyDir` is root's, 0777) and /tmp are such places.
    """
    try:
        found = path.stat()
    except OSError:
        return path
    if stat.S_ISDIR(found.st_mode) and _is_for_several(found):
        return inner(path)
    return path


def inner(path: Path, *names: str) -> Path:
    """Return the folder of this user inside one that several write into."""
    return path / "-".join(("resilience", str(os.geteuid()), *names))


def _is_for_several(found: os.stat_result) -> bool:
    if found.st_mode & stat.S_IWOTH:
        return True
    groups = {os.getegid(), *os.getgroups()}
    return bool(found.st_uid != os.geteuid() and found.st_mode & stat.S_IWGRP and found.st_gid in groups)


def ensure(path: Path, *, make: bool = True) -> None:
    """See to it that the folder is there, is this user's, and lets nobody else in; make it if need be.

    Raise `OSError` saying why where that cannot be. Without `make` nothing is changed.
    """
    if make:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700, parents=True)
    # By its descriptor: what is looked at is what is changed, whatever the name means by then.
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise NotADirectoryError(
                errno.ENOTDIR, f"{path} is not a folder of its own; a link could lead anywhere"
            ) from error
        raise
    try:
        found = os.fstat(folder)
        refuse_another_owner(path, found.st_uid)
        if make and found.st_mode & 0o077:
            os.fchmod(folder, 0o700)
    finally:
        os.close(folder)


def refuse_another_owner(path: Path, owner: int) -> None:
    """Raise `PermissionError` unless the owner is who this process runs as."""
    if owner != os.geteuid():
        raise PermissionError(
            errno.EPERM,
            f"{path} belongs to user {user(owner)}, and this is {user(os.geteuid())}: run as {user(owner)}",
        )


def user(number: int) -> str:
    """Return name and number of a user."""
    try:
        return f"{pwd.getpwuid(number).pw_name} ({number})"
    except KeyError:
        return str(number)
