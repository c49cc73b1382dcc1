"""System checks of the folders that a server writes. They only warn: a server does without any of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Warning

from resilience import conf
from resilience.observe import folders


def look_at_folders(**_: Any) -> Iterator[CheckMessage]:
    """W080: owner and mode of each folder. Nothing is written."""
    for folder in _folders():
        if why := folders.wrong_at_a_look(folder.path()):
            yield Warning(
                f"The folder of {folder.setting} cannot be used: {why}.",
                hint=f"Without it {folder.without}. Choose another folder, or run this as the server's user.",
                id="resilience.W080",
            )


def write_into_folders(**_: Any) -> Iterator[CheckMessage]:
    """W081 and W082: a file is written into each and removed, as the user that this is run by.

    `check --deploy --tag folders` does that.
    """
    for folder in _folders():
        if why := folders.wrong_at_a_try(folder.path(), make=False):
            yield Warning(
                f"Nothing can be written into the folder of {folder.setting}: {why}.",
                hint=f"Without it {folder.without}.",
                id="resilience.W081",
            )
    if _folders() and (why := folders.another_user()):
        yield Warning(
            why,
            hint="Run this as the server's user: what one may write says nothing of the other.",
            id="resilience.W082",
        )


def _folders() -> list[folders.Folder]:
    return folders.wanted() if conf.get("NAMESPACE") else []  # E002 says so.
