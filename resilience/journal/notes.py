"""Small things that the next steward should know: a JSON file each, beside the journal."""

from __future__ import annotations

import json
from typing import Any

from resilience import conf
from resilience.primitives import own_trouble
from resilience.primitives.aside import written_aside


def recall(name: str) -> dict[str, Any]:
    """Return what was remembered under a name; nothing where it cannot be read.

    Raise `OSError` when only this process cannot read it: with nothing in mind it would tell all again.
    """
    try:
        found = json.loads((conf.events_dir() / f"{name}.json").read_bytes())
    except (OSError, ValueError) as error:
        if own_trouble(error):
            raise
        return {}
    return found if isinstance(found, dict) else {}


def remember(name: str, value: dict[str, Any]) -> None:
    """Replace what is remembered under a name, whole or not at all. Raises `OSError`."""
    folder = conf.events_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with written_aside(folder / f"{name}.json") as aside:
        aside.write_text(json.dumps(value))
