"""Passes to the board: what lets staff in while nobody can ask the database who they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

from resilience.observe.steering import PERMISSION

COOKIE = "resilience_board"
LASTS = 3600
_SALT = "resilience.board.pass"


@dataclass(frozen=True, slots=True)
class Pass:
    """Whom the database confirmed within the last hour, or that the OPS_TOKEN was typed."""

    who: str
    by: Literal["staff", "token"]


def presented(request: HttpRequest) -> Pass | None:
    """Return the pass that comes with the request, if it is ours and not over."""
    try:
        found: dict[str, Any] = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=LASTS)
    except signing.BadSignature:
        return None
    if found["by"] == "token" and not constant_time_compare(str(found.get("of")), _token()):
        return None  # The OPS_TOKEN is another one now.
    return Pass(str(found["who"]), found["by"])


def give(response: HttpResponseBase, who: str, by: Literal["staff", "token"]) -> None:
    """Put a pass on the response."""
    response.set_cookie(
        COOKIE,
        signing.dumps({"who": who, "by": by, **({"of": _token()} if by == "token" else {})}, salt=_SALT),
        max_age=LASTS,
        path=reverse("resilience-board:board"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


def _token() -> str:
    """Return what stands for the OPS_TOKEN in a pass: it ends with the token."""
    return salted_hmac(_SALT, getattr(settings, "OPS_TOKEN", "")).hexdigest()


def give_to_staff(request: HttpRequest, response: HttpResponseBase) -> None:
    """Put a pass on the response of a sign-in, for whoever may steer breakers."""
    user = getattr(request, "user", None)
    if user is None or not (user.is_authenticated and user.is_active and user.is_staff):
        return
    if user.has_perm(PERMISSION):
        give(response, user.get_username(), "staff")


def take(response: HttpResponseBase) -> None:
    """Take the pass away: who signs out, or lost the permission, has none."""
    response.delete_cookie(COOKIE, path=reverse("resilience-board:board"), samesite="Strict")
