"""Passes to the board: what lets staff in while nobody can ask the database who they are."""

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
EVERYBODY = "*"  # in the place of a key
_SALT = "resilience.board.pass.2"

logger = logging.getLogger("resilience.board")

# Note [When a pass ends]
# A pass is a signed cookie, so that it holds with every server dead. By itself it would hold for its hour,
# for anyone with a copy. So what ends it is written beside the journal, one small file for each holder, which
# every worker looks up: at sign-out, at the board's "Leave", and when an account is changed or loses its
# permission (`end_passes`). A pass counts if the database was asked for it after that. What another host
# did, or a statement past the ORM, is not seen here: such a pass holds until its hour is over, while the
# database is away.


@dataclass(frozen=True, slots=True)
class Pass:
    """Whom the database confirmed within the last hour, or that the OPS_TOKEN was typed.

    `key` is the account's primary key; a pass by token has a number of its own there.
    """

    who: str
    by: Literal["staff", "token"]
    key: str


def presented(request: HttpRequest) -> Pass | None:
    """Return the pass that comes with the request, if it is ours and not over."""
    try:
        found: dict[str, Any] = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=LASTS)
    except signing.BadSignature:
        return None
    if found["by"] == "token" and not constant_time_compare(str(found.get("of")), _token()):
        return None  # The OPS_TOKEN is another one now.
    given = Pass(str(found["who"]), found["by"], str(found["key"]))
    return None if found["at"] <= _ended(given) else given


def give(response: HttpResponseBase, given: Pass, *, at: float) -> None:
    """Put a pass on the response; `at`, wall seconds, is from before the database was asked."""
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
    """Return a pass for somebody who has typed the OPS_TOKEN: one of several, each with its own end."""
    return Pass("OPS_TOKEN", "token", secrets.token_urlsafe(12))


def give_to_staff(request: HttpRequest, response: HttpResponseBase) -> None:
    """Put a pass on the response of a sign-in, for people who may steer breakers."""
    now = time.time()
    user = getattr(request, "user", None)
    if user is None or not (user.is_authenticated and user.is_active and user.is_staff):
        return
    if user.has_perm(PERMISSION):
        give(response, Pass(user.get_username(), "staff", str(user.pk)), at=now)


def remove(response: HttpResponseBase) -> None:
    """Remove the pass from a browser, at a sign-out or when the permission was lost."""
    response.delete_cookie(COOKIE, path=reverse("resilience-board:board"), samesite="Strict")


def end(key: str, by: Literal["staff", "token"] = "staff") -> None:
    """End every copy of a holder's pass on this host, or of EVERYBODY's. See Note [When a pass ends]."""
    now, path, journal = time.time(), _path(key, by), conf.events_dir()
    if not registry.is_server() and not journal.exists():
        return  # No server was here that could have given one, and the folder is to be the server's.
    try:
        if journal.exists():
            _refuse_unless_ours(journal)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_unless_ours(path.parent)
        for old in path.parent.iterdir():
            if old.stat().st_mtime < now - LASTS:  # No pass is as old as that.
                old.unlink(missing_ok=True)
        path.touch(mode=0o600)
        os.utime(path, (now, now))  # The file system's own clock lags behind this one.
    except OSError as error:
        registry.store().counters.add("dropped", "end of a pass")
        logger.warning("The end of a pass to the board could not be written down: %s", error.strerror)


def _refuse_unless_ours(folder: Path) -> None:
    """Keep root from leaving there what the server cannot write, and from clearing where a link leads."""
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
    """Return what stands for the OPS_TOKEN in a pass: it ends with the token."""
    return salted_hmac(_SALT, getattr(settings, "OPS_TOKEN", "")).hexdigest()
