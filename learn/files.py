"""Text files that are written beside their place and then moved to it, so that nobody reads half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from resilience.primitives.aside import written_aside


@contextmanager
def replaced(path: Path) -> Iterator[IO[str]]:
    """Open a new file of UTF-8 text. It replaces `path` if the block ends well; otherwise it is deleted.

    Raises OSError if it cannot be written; before the block begins if there is a directory at `path`.
    """
    if path.is_dir():
        raise IsADirectoryError(21, os.strerror(21), str(path))
    with (
        written_aside(path, durable=True) as aside,
        aside.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield file
