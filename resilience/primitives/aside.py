"""Write a file in one step, so that nobody ever reads half of it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUFFIX = ".aside"


@contextmanager
def written_aside(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield the path of a file to write; at the end of the block it replaces `target`.

    After an error nothing is left of it. A killed process leaves a file whose name ends in `SUFFIX`. With
    `durable` it is on the disk before it replaces the other, so that after a crash of the machine either file
    is whole. Raises `OSError` if it cannot be written.
    """
    aside = target.with_name(f"{target.name}.{os.getpid()}-{threading.get_ident()}{SUFFIX}")
    aside.unlink(missing_ok=True)  # of a killed process that had these numbers
    try:
        yield aside
        if durable:
            _sync(aside)
        aside.replace(target)
        if durable:
            _sync(target.parent)
    finally:
        aside.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
