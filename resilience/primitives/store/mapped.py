"""The file behind the store: built aside and renamed, checked when it is opened, never written in place.

A mapped file that somebody shortens, or whose pages a full disk cannot give, kills its readers with
SIGBUS, which nothing can catch. So it is allocated whole before anybody sees it, and is not touched
again save through the mapping; a replacement is a new file.
"""

import contextlib
import errno
import mmap
import os
import secrets
import stat
from pathlib import Path

from ..errors import StoreUnavailableError
from .folder import ensure, refuse_another_owner, user
from .layout import BOOT, FORMAT, MAGIC, READY, SECRET, SECRET_BYTES, SIZE, USED_SLOTS, VERSION, WORD, Layout

_MAGIC = int.from_bytes(b"resilien", "little")
_BOOT_BYTES = 40
_RUN_AS_SERVER = "Run this on the host, in the container and as the user of the server"


def boot_id() -> bytes:
    """Return what tells this boot of the host from others: times of the monotonic clock mean nothing then."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()[:_BOOT_BYTES]
    except OSError:
        return b""


def open_mapped(path: Path, layout: Layout, *, create: bool) -> tuple[mmap.mmap, int]:
    """Map the store at `path`; return it and its inode.

    With `create` it is built where there is none, and replaced where it is damaged, of an earlier boot or
    of another size. Raise `StoreUnavailableError` where it cannot be had, saying why.
    """
    _check_folder(path.parent, create=create)
    try:
        for _ in range(3):
            file = _open(path)
            if file is None:
                if not create:
                    raise StoreUnavailableError(
                        f"there is no store at {path}: no server has run here as user {user(os.geteuid())}. "
                        f"{_RUN_AS_SERVER}"
                    )
                _build(path, layout, instead_of=None)
                continue
            try:
                memory = _map(file, layout)
                if memory is not None:
                    return memory, os.fstat(file).st_ino
                if not create:
                    raise StoreUnavailableError(
                        f"{path} is damaged or left over from another boot; "
                        "the next server here makes a new one"
                    )
                _build(path, layout, instead_of=os.fstat(file).st_ino)
            finally:
                os.close(file)
    except OSError as error:
        raise _unusable(path, error) from error
    raise StoreUnavailableError(f"{path} is replaced over and over")


def _check_folder(folder: Path, *, create: bool) -> None:
    """See to a folder of our own; raise `StoreUnavailableError` for one that is not."""
    try:
        ensure(folder, make=create)
    except FileNotFoundError:
        raise StoreUnavailableError(
            f"there is no {folder}: no server has run here. {_RUN_AS_SERVER}"
        ) from None
    except OSError as error:
        raise _unusable(folder, error) from error


def _unusable(path: Path, error: OSError) -> StoreUnavailableError:
    why = error.strerror or str(error)
    return StoreUnavailableError(why if str(path) in why else f"{path} cannot be used: {why}")


def _open(path: Path) -> int | None:
    """Open the file if it is there and ours; raise `StoreUnavailableError` for one that is not."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StoreUnavailableError(f"{path} is a symbolic link, which is refused") from error
        raise
    try:
        _check_file(path, file)
    except BaseException:
        os.close(file)
        raise
    return file


def _check_file(path: Path, file: int) -> None:
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        raise StoreUnavailableError(f"{path} is not a plain file")
    refuse_another_owner(path, found.st_uid)
    if found.st_mode & 0o077:
        os.fchmod(file, 0o600)


def _map(file: int, layout: Layout) -> mmap.mmap | None:
    """Map an open file; None when it is not a whole store of this boot."""
    found = os.fstat(file)
    # A sparse file has fewer blocks than bytes; a page that the disk cannot give would kill.
    if found.st_size != layout.size or found.st_blocks * 512 < layout.size:
        return None
    memory = mmap.mmap(file, layout.size)
    with memoryview(memory).cast("q") as words:
        whole = (
            words[MAGIC] == _MAGIC
            and words[VERSION] == FORMAT
            and words[SIZE] == layout.size
            and words[READY] == 1
            and 0 <= words[USED_SLOTS] <= layout.slots
        )
    if whole and memory[BOOT * WORD : BOOT * WORD + _BOOT_BYTES] == boot_id().ljust(_BOOT_BYTES, b"\0"):
        return memory
    memory.close()
    return None


def _build(path: Path, layout: Layout, *, instead_of: int | None) -> None:
    """Build a store aside and put it in place, unless somebody else did so first."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    file = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.posix_fallocate(file, 0, layout.size)
        with mmap.mmap(file, layout.size) as memory:
            memory[BOOT * WORD : BOOT * WORD + _BOOT_BYTES] = boot_id().ljust(_BOOT_BYTES, b"\0")
            secret = SECRET * WORD
            memory[secret : secret + SECRET_BYTES] = secrets.token_bytes(SECRET_BYTES)
            with memoryview(memory).cast("q") as words:
                words[MAGIC], words[VERSION], words[SIZE] = _MAGIC, FORMAT, layout.size
                words[READY] = 1
            memory.flush()
        if instead_of is None:
            with contextlib.suppress(FileExistsError):
                os.link(aside, path, follow_symlinks=False)
        elif path.lstat().st_ino == instead_of:
            aside.rename(path)
    finally:
        os.close(file)
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()
