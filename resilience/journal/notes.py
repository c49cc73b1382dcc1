"""The steward's notes for the next steward: JSON files beside the journal."""

from __future__ import annotations

import json
from typing import Any

from resilience import conf
from resilience.primitives import own_trouble
from resilience.primitives.aside import written_aside


def recall(name: str) -> dict[str, Any]:
    """Return the note of this name; an empty one if there is none or it cannot be read.

    Raises `OSError` if the process itself lacks what reading needs (a descriptor, memory). With an empty note
    it would, for example, send every alert again.
    """
    try:
        found = json.loads((conf.events_dir() / f"{name}.json").read_bytes())
    except (OSError, ValueError) as error:
        if own_trouble(error):
            raise
        return {}
    return found if isinstance(found, dict) else {}


def remember(name: str, value: dict[str, Any]) -> None:
    """Replace the note of this name, whole or not at all. Raises `OSError` if it cannot be written."""
    folder = conf.events_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with written_aside(folder / f"{name}.json") as aside:
        aside.write_text(json.dumps(value))
