"""Who may steer breakers: `may_steer(request)` is the one table of cases."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from django.apps import apps
from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from resilience import registry
from resilience.db.outages import is_outage, retry_after
from resilience.operate import passes
from resilience.operate.orders import PERMISSION
from resilience.operate.passes import Pass
from resilience.primitives import RejectedError
from resilience.problems import ProblemError

# Headers that a proxy adds. A request with one is not from this machine, even if the last hop is.
_FORWARDED = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP", "HTTP_TRUE_CLIENT_IP", "HTTP_CF_CONNECTING_IP")
# Headers that a browser adds to a page's requests: the page could be another site's.
_FROM_A_PAGE = ("HTTP_ORIGIN", "HTTP_REFERER", "HTTP_SEC_FETCH_SITE")


class NobodyError(ProblemError):
    """401: there are no valid credentials. It is 403 if the site's scheme has no challenge."""

    def __init__(self, detail: str, request: HttpRequest) -> None:
        challenge = _challenge(request)
        super().__init__(detail, status=401 if challenge else 403)
        self.headers = {"WWW-Authenticate": challenge} if challenge else {}


class AccountUnavailableError(RejectedError):
    """503: the account cannot be looked up, so it is unknown whether it may steer."""


@dataclass(frozen=True, slots=True)
class Steerer:
    """Who steers, and by which case of the table in `may_steer`.

    For an account there is also its primary key, and when the database was asked for it, in wall seconds.
    """

    who: str
    by: Literal["token", "pass", "staff", "local"]
    key: str = ""
    asked: float = 0.0

    @property
    def named(self) -> str:
        """Return their name in the journal."""
        return f"{self.who} (by pass)" if self.by == "pass" else self.who


def may_steer(request: HttpRequest, *, board: bool = False) -> Steerer:
    """Return who steers by this request. The first case that applies decides:

    token   the OPS_TOKEN, as `Authorization: Bearer` or typed at the board: automation; needs no server
    pass    at the board alone, while the database cannot be asked: staff whom it confirmed in the last hour
    staff   an account, by the site's own authentication: active staff with `resilience.steer_breakers`, as
            the database has it now, also for a request that only looks
    local   nobody in particular, at this machine, while DEBUG is on

    At the `board` accounts come by session, with a form's token against forgery, which the view checks.
    Elsewhere they come by the site's authentication of Django REST framework; without that, no account does.

    Raises `NobodyError` (401) without credentials that hold, another `ProblemError` (403) for an account that
    may not, and `AccountUnavailableError` (503) while accounts cannot be looked up.
    """
    for case in _CASES:
        if (found := case(request, board)) is not None:
            return found
    raise NobodyError("Send the OPS_TOKEN, or an access token of staff who may steer breakers.", request)


@sensitive_variables()
def has_ops_token(request: HttpRequest) -> bool:
    """Tell whether the request carries the OPS_TOKEN, by a comparison in constant time."""
    scheme, _, given = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    expected = getattr(settings, "OPS_TOKEN", "")
    return bool(expected) and scheme.lower() == "bearer" and constant_time_compare(given.strip(), expected)


def _token(request: HttpRequest, board: bool) -> Steerer | None:
    given = _presented(request, board)
    typed = given is not None and given.by == "token"
    return Steerer("OPS_TOKEN", "token") if typed or has_ops_token(request) else None


def _pass(request: HttpRequest, board: bool) -> Steerer | None:
    given = _presented(request, board)
    if given is None or not registry.breaker("database").refuses():
        return None
    return Steerer(given.who, "pass")


def _presented(request: HttpRequest, board: bool) -> Pass | None:
    """Return the pass, at the board alone: a browser may send the cookie with another site's request."""
    return passes.presented(request) if board else None


def _staff(request: HttpRequest, board: bool) -> Steerer | None:
    asked = time.time()
    try:
        user = _account(request, board)
        if user is None or not user.is_authenticated:
            return None
        allowed = user.is_active and user.is_staff and user.has_perm(PERMISSION)
    except Exception as error:
        if not is_outage(error):
            raise
        if (given := _presented(request, board)) is not None:
            return Steerer(given.who, "pass")
        raise AccountUnavailableError(
            "auth",
            retry_after=retry_after(error),
            reason="your account cannot be looked up at the moment; the OPS_TOKEN and `manage.py breakers` "
            "need no account",
        ) from error
    if not allowed:
        raise ProblemError(
            "Only staff with the permission to steer circuit breakers may do this.", status=403
        )
    return Steerer(user.get_username(), "staff", str(user.pk), asked)


def _account(request: HttpRequest, board: bool) -> Any:
    if board:
        return getattr(request, "user", None)
    if not apps.is_installed("rest_framework"):
        return None
    from resilience.answers.accounts import account

    try:
        return account(request)
    except ProblemError as error:
        raise NobodyError(error.detail, request) if error.status == 401 else error from error


def _challenge(request: HttpRequest) -> str:
    if not apps.is_installed("rest_framework"):
        return 'Bearer realm="operators"'
    from resilience.answers.accounts import challenge

    return challenge(request)


def _local(request: HttpRequest, board: bool) -> Steerer | None:
    if not settings.DEBUG or not _is_loopback(request.META.get("REMOTE_ADDR", "")):
        return None
    headers = request.META.keys()
    if any(name in headers for name in (*_FORWARDED, *_FROM_A_PAGE)):
        return None
    if any(name.startswith("HTTP_X_FORWARDED") for name in headers):
        return None
    # Raises DisallowedHost: another site's name may have been made to resolve to this machine.
    request.get_host()
    return Steerer("local", "local")


def _is_loopback(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


_CASES: tuple[Callable[[HttpRequest, bool], Steerer | None], ...] = (
    _token,
    _pass,
    _staff,
    _local,
)
