"""A file that takes its place whole: nobody ever reads half of it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUFFIX = ".aside"


@contextmanager
def written_aside(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give the path of a file to write, which takes the place of `target` at the end of the block.

    After an error nothing is left of it; a killed process leaves a file whose name ends in `SUFFIX`. With
    `durable` it has reached the disk before it takes its place, so that a machine that stops has either file
    whole. Raises `OSError` when it cannot be written.
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
