"""Text files that are written beside their places, so that nobody ever reads half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from resilience.primitives.aside import written_aside


@contextmanager
def replaced(path: Path) -> Iterator[IO[str]]:
    """Open a file of UTF-8 text that takes the place of `path` when the block ends well, else is gone.

    Raises OSError when it cannot be written; a directory at `path` is refused before the block begins.
    """
    if path.is_dir():
        raise IsADirectoryError(21, os.strerror(21), str(path))
    with (
        written_aside(path, durable=True) as aside,
        aside.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield file
