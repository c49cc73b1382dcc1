"""Passes to the board: what lets staff in while nobody can ask the database who they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from resilience import registry
from resilience.observe.steering import PERMISSION
from resilience.outages import is_outage

COOKIE = "resilience_board"
LASTS = 3600
_SALT = "resilience.board.pass"

Kind = Literal["staff", "pass", "token"]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who is at the board, and what let them in: the database, a pass from before, or the OPS_TOKEN."""

    who: str
    by: Kind

    @property
    def named(self) -> str:
        """Return what the journal calls them."""
        return self.who if self.by != "pass" else f"{self.who} (by pass)"


def holder(request: HttpRequest) -> Holder | None:
    """Return who may use the board by this request; None for everybody else.

    An account counts as the database has it now. A pass counts only while the database cannot be asked, and
    for an hour since it last confirmed its holder.
    """
    given = _read(request)
    if given is not None and given["by"] == "token":
        return Holder("OPS_TOKEN", "token")
    if not registry.breaker("database").refuses():
        try:
            return _account(request)
        except Exception as error:
            if not is_outage(error):
                raise
    return None if given is None else Holder(str(given["who"]), "pass")


def give(response: HttpResponseBase, who: str, by: Literal["staff", "token"]) -> None:
    """Put a pass on the response."""
    response.set_cookie(
        COOKIE,
        signing.dumps({"who": who, "by": by}, salt=_SALT),
        max_age=LASTS,
        path=reverse("resilience-board:board"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


def give_to_staff(request: HttpRequest, response: HttpResponseBase) -> None:
    """Put a pass on the response of a sign-in, for whoever may steer breakers."""
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated and user.is_active and user.has_perm(PERMISSION):
        give(response, user.get_username(), "staff")


def take(response: HttpResponseBase) -> None:
    """Take the pass away: who signs out, or lost the permission, has none."""
    response.delete_cookie(COOKIE, path=reverse("resilience-board:board"), samesite="Strict")


def _account(request: HttpRequest) -> Holder | None:
    user: Any = getattr(request, "user", None)
    if user is None or not (user.is_authenticated and user.is_active and user.is_staff):
        return None
    return Holder(user.get_username(), "staff") if user.has_perm(PERMISSION) else None


def _read(request: HttpRequest) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=LASTS)
    except signing.BadSignature:
        return None
    return found
