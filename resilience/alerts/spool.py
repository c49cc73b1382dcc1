"""What waits to be sent, as files in a folder of the host: the next process goes on with them."""

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
    """A folder with one file for each item, named so that the oldest comes first.

    `to_json` and `from_json` turn an item into what JSON can carry and back.
    """

    def __init__(self, folder: Path, to_json: Callable[[T], Any], from_json: Callable[[Any], T]) -> None:
        self._folder = folder
        self._to_json = to_json
        self._from_json = from_json

    def add(self, item: T, until: float) -> Path | None:
        """Write an item down, and until when it is worth sending (monotonic); None if that cannot be done."""
        path = self._folder / f"{time.monotonic_ns():020}-{uuid.uuid4().hex}.json"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with written_aside(path) as aside:
                aside.write_text(json.dumps({"until": until, "item": self._to_json(item)}))
        except OSError as error:  # A full disk: then it lives as long as this process.
            logger.warning(
                "%s cannot be written, so what waits ends with the process: %s", path.parent, error
            )
            return None
        return path

    def left(self) -> Iterator[tuple[Path, T, float]]:
        """Yield what lies there, oldest first; remove what is no item, leave what cannot be read now."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                found = json.loads(path.read_bytes())
                yield path, self._from_json(found["item"]), float(found["until"])
            except FileNotFoundError:
                continue  # sent meanwhile
            except OSError as error:
                logger.warning("%s cannot be read, and is left for later: %s", path, error)
            except (ValueError, TypeError, KeyError) as error:
                logger.warning("%s is no alert, and is removed: %s", path.name, error)
                remove(path)


def remove(path: Path) -> None:
    """Remove a file of a spool; where that cannot be done it stays, and the log says so."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s cannot be removed, and may be sent once more: %s", path, error)
