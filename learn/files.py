"""Writes a file aside, so that nobody ever reads half of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO


@contextmanager
def written_aside(path: Path) -> Iterator[IO[str]]:
    """Open a file of UTF-8 text that takes the place of `path` when the block ends well, else is gone.

    Raises OSError when it cannot be written; a directory at `path` is refused before the block begins.
    """
    if path.is_dir():
        raise IsADirectoryError(21, os.strerror(21), str(path))
    with NamedTemporaryFile(
        "w",
        encoding="utf-8",
        errors="backslashreplace",
        newline="",
        dir=path.parent,
        prefix=f".{path.name}.",
        delete=False,
    ) as file:
        aside = Path(file.name)
        try:
            yield file
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
