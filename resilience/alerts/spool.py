"""Keep items that wait to be sent as files in a folder of the host, so that another process can send them."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from resilience.primitives.aside import written_aside

logger = logging.getLogger("resilience.alerts")

T = TypeVar("T")


class Spool(Generic[T]):
    """A folder with one file for each item; sorted by name, the oldest comes first.

    `to_json` turns an item into values that JSON can hold, `from_json` turns them back.
    """

    def __init__(self, folder: Path, to_json: Callable[[T], Any], from_json: Callable[[Any], T]) -> None:
        self._folder = folder
        self._to_json = to_json
        self._from_json = from_json

    def add(self, item: T, until: float) -> Path | None:
        """Write an item into a file, with the time until which to send it (monotonic seconds).

        Returns the file, or None if it cannot be written: the item then ends with this process.
        """
        path = self._folder / f"{time.monotonic_ns():020}-{uuid.uuid4().hex}.json"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with written_aside(path) as aside:
                aside.write_text(json.dumps({"until": until, "item": self._to_json(item)}))
        except OSError as error:  # a full disk, for example
            logger.warning(
                "%s cannot be written, so what waits ends with the process: %s", path.parent, error
            )
            return None
        return path

    def left(self) -> Iterator[tuple[Path, T, float]]:
        """Yield file, item and end time of each item, oldest first.

        A file that is no item is removed; one that cannot be read now stays.
        """
        for path in sorted(self._folder.glob("*.json")):
            try:
                found = json.loads(path.read_bytes())
                yield path, self._from_json(found["item"]), float(found["until"])
            except FileNotFoundError:
                continue  # another process has sent it meanwhile
            except OSError as error:
                logger.warning("%s cannot be read, and is left for later: %s", path, error)
            except (ValueError, TypeError, KeyError) as error:
                logger.warning("%s holds no alert, and is removed: %s", path.name, error)
                remove(path)


def remove(path: Path) -> None:
    """Remove a file of a spool. If that fails, write a log line: the item may be sent once more."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s cannot be removed, and may be sent once more: %s", path, error)
