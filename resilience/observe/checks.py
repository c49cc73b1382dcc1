"""System checks of the folders that a server writes to, and of its log handlers."""

from __future__ import annotations

from collections.abc import Iterator
from logging.handlers import HTTPHandler, SMTPHandler, SocketHandler, SysLogHandler
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.utils.log import AdminEmailHandler as DjangosHandler
from django.utils.module_loading import import_string

from resilience import conf
from resilience.alerts.reports import AdminEmailHandler
from resilience.observe import folders


def look_at_folders(**_: Any) -> Iterator[CheckMessage]:
    """W080: a folder cannot be written, by its owner and mode. Nothing is written to find out."""
    for folder in _folders():
        if why := folders.wrong_at_a_look(folder.path()):
            yield Warning(
                f"The folder of {folder.setting} cannot be used: {why}.",
                hint=f"Without it {folder.without}. Choose another folder, or run this as the server's user.",
                id="resilience.W080",
            )


def write_into_folders(**_: Any) -> Iterator[CheckMessage]:
    """W081 and W082: a file could not be written into a folder, as the user who runs this.

    `check --deploy --tag folders` tries that.
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


# Handlers that send over the network.
_WAITING = (HTTPHandler, SMTPHandler, SocketHandler, SysLogHandler, DjangosHandler)


def check_log_handlers(**_: Any) -> Iterator[CheckMessage]:
    """W031: a handler of `LOGGING` sends over the network while a request waits."""
    for name, handler in (getattr(settings, "LOGGING", None) or {}).get("handlers", {}).items():
        path = handler.get("class", "")
        try:
            kind = import_string(path)
        except ImportError:
            continue  # `logging` itself refuses it at the start
        # Django's own is replaced in servers.
        harmless = kind is DjangosHandler or issubclass(kind, AdminEmailHandler)
        if isinstance(kind, type) and issubclass(kind, _WAITING) and not harmless:
            yield Warning(
                f"The log handler {name!r} ({path}) sends while a request waits: one whose server hangs "
                "takes the site down.",
                hint="Put logging.handlers.QueueHandler before it; for mail to ADMINS take "
                "resilience.alerts.reports.AdminEmailHandler.",
                id="resilience.W031",
            )
