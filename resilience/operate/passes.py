"""Passes to the board: they let staff in while the database cannot be asked who they are."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

from resilience import conf, registry
from resilience.operate.orders import PERMISSION

COOKIE = "resilience_board"
LASTS = 3600
EVERYBODY = "*"  # instead of a key
_SALT = "resilience.board.pass.2"

logger = logging.getLogger("resilience.board")

# Note [When a pass ends]
# A pass is a signed cookie, so that it works with every server down. By itself it would be valid for an hour,
# for anyone with a copy. So its end is written beside the journal, in one small file for each holder, and
# every worker looks there. A pass ends at sign-out, at the board's "Leave", and when an account is changed or
# loses its permission (`end_passes`). It is valid only if the database was asked for it after that. A change
# by another host or past the ORM is not noticed here: while the database is down such a pass is valid until
# its hour is over.


@dataclass(frozen=True, slots=True)
class Pass:
    """Evidence that the database confirmed its holder within the last hour, or that the OPS_TOKEN was typed.

    `key` is the account's primary key; for a pass by token it is random.
    """

    who: str
    by: Literal["staff", "token"]
    key: str


def presented(request: HttpRequest) -> Pass | None:
    """Return the pass in the request's cookie if it is valid, else None."""
    try:
        found: dict[str, Any] = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=LASTS)
    except signing.BadSignature:
        return None
    if found["by"] == "token" and not constant_time_compare(str(found.get("of")), _token()):
        return None  # the OPS_TOKEN has been changed
    given = Pass(str(found["who"]), found["by"], str(found["key"]))
    return None if found["at"] <= _ended(given) else given


def give(response: HttpResponseBase, given: Pass, *, at: float) -> None:
    """Set the pass as a cookie; `at`, in wall seconds, is a moment before the database was asked."""
    said = {"who": given.who, "by": given.by, "key": given.key, "at": at}
    response.set_cookie(
        COOKIE,
        signing.dumps(said | ({"of": _token()} if given.by == "token" else {}), salt=_SALT),
        max_age=LASTS,
        path=reverse("resilience-board:board"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


def by_token() -> Pass:
    """Return a new pass for somebody who has typed the OPS_TOKEN; each can be ended alone."""
    return Pass("OPS_TOKEN", "token", secrets.token_urlsafe(12))


def give_to_staff(request: HttpRequest, response: HttpResponseBase) -> None:
    """Set a pass on the response of a sign-in, if the account may steer breakers."""
    now = time.time()
    user = getattr(request, "user", None)
    if user is None or not (user.is_authenticated and user.is_active and user.is_staff):
        return
    if user.has_perm(PERMISSION):
        give(response, Pass(user.get_username(), "staff", str(user.pk)), at=now)


def remove(response: HttpResponseBase) -> None:
    """Remove the pass from the browser, after a sign-out or a loss of the permission."""
    response.delete_cookie(COOKIE, path=reverse("resilience-board:board"), samesite="Strict")


def end(key: str, by: Literal["staff", "token"] = "staff") -> None:
    """End every copy of a holder's passes on this host, or EVERYBODY's. See Note [When a pass ends]."""
    now, path, journal = time.time(), _path(key, by), conf.events_dir()
    if not registry.is_server() and not journal.exists():
        return  # no server was here that could have given a pass, and only a server makes the folder
    try:
        if journal.exists():
            _refuse_unless_ours(journal)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_unless_ours(path.parent)
        for old in path.parent.iterdir():
            if old.stat().st_mtime < now - LASTS:  # no pass is that old
                old.unlink(missing_ok=True)
        path.touch(mode=0o600)
        os.utime(path, (now, now))  # the file system's clock lags behind ours
    except OSError as error:
        registry.store().counters.add("dropped", "end of a pass")
        logger.warning("The end of a pass to the board could not be written down: %s", error.strerror)


def _refuse_unless_ours(folder: Path) -> None:
    """Keep root from leaving files there that the server cannot write, and from following a link."""
    if folder.lstat().st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "only the server's user may")


def _ended(given: Pass) -> float:
    """Return when passes of this holder were last ended, in wall seconds."""
    keys = (given.key, EVERYBODY) if given.by == "staff" else (given.key,)
    return max(_written(_path(key, given.by)) for key in keys)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _path(key: str, by: str) -> Path:
    return conf.events_dir() / "passes" / hashlib.sha256(f"{by} {key}".encode()).hexdigest()


def _token() -> str:
    """Return a digest of the OPS_TOKEN, kept in a pass so that it ends when the token is changed."""
    return salted_hmac(_SALT, getattr(settings, "OPS_TOKEN", ""), algorithm="sha256").hexdigest()
