"""The request that a stand-in is made for: nobody's, and without an effect on the one that was sent."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

# What says who asks, and what the client has already: a stand-in is anonymous, and whole.
_PERSONAL = (
    *("HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION", "REMOTE_USER", "HTTP_REMOTE_USER"),
    *("CSRF_COOKIE", "CSRF_COOKIE_NEEDS_UPDATE"),
    *("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE"),
)
_KEPT_READINGS = ("COOKIES", "headers", "_cached_user", "_acached_user")


class _NoSession(SessionBase):
    """A session that is empty, and is never saved. Its cookie is left as it is."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self._session_cache: dict[str, Any] = {}

    def is_empty(self) -> bool:
        """Say no where there is a key: of an empty session the middleware deletes the cookie."""
        return not self._session_key

    def exists(self, session_key: str | None = None) -> bool:
        """Say no: nothing is stored."""
        return False

    def load(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def create(self) -> None:
        """Do nothing."""

    def save(self, must_create: bool = False) -> None:
        """Do nothing."""

    def delete(self, session_key: str | None = None) -> None:
        """Do nothing."""


class _StandIn:
    """Mixed into the class of a request of nobody's."""

    @property
    def _cache_update_cache(self) -> bool:
        """Whether `cache_page` may keep the answer: never, it would be served as a live one."""
        return False

    @_cache_update_cache.setter
    def _cache_update_cache(self, value: bool) -> None:
        pass


_kinds: dict[type[HttpRequest], type[HttpRequest]] = {}


def _standing_in(kind: type[HttpRequest]) -> type[HttpRequest]:
    if kind not in _kinds:
        _kinds[kind] = type(f"StandIn{kind.__name__}", (_StandIn, kind), {})
    return _kinds[kind]


def is_stand_in(request: HttpRequest) -> bool:
    """Tell whether it is such a request of nobody's."""
    return isinstance(request, _StandIn)


def anonymous(request: HttpRequest) -> HttpRequest:
    """Return the same request as nobody would send it: without account, session, cookies and conditions."""
    kind = _standing_in(type(request))
    made = kind.__new__(kind)
    own = vars(made)
    own.update(vars(request))
    for name in _KEPT_READINGS:
        own.pop(name, None)
    own.pop("_cache_update_cache", None)
    own["META"] = {name: value for name, value in request.META.items() if name not in _PERSONAL}
    if "environ" in own:
        own["environ"] = own["META"]
    made.COOKIES = {}
    if "user" in own:
        _make_anonymous(made)
    if "session" in own:
        own["session"] = _NoSession()
    if "_messages" in own:
        own["_messages"] = type(own["_messages"])(made)
    return made


def leave_no_trace(request: HttpRequest) -> None:
    """Undo what a failed live attempt has left on the request, which other middleware would act upon.

    Its session is not saved, its messages are neither stored nor taken for read, and no `cache_page` around
    the view keeps the answer.
    """
    own = vars(request)
    if "session" in own and not isinstance(own["session"], _NoSession):
        key = getattr(own["session"], "_session_key", None)
        own["session"] = _NoSession(key)
    if "_messages" in own:
        own["_messages"] = type(own["_messages"])(request)
    if "_cache_update_cache" in own:
        own["_cache_update_cache"] = False


def _make_anonymous(request: HttpRequest) -> None:
    if not apps.is_installed("django.contrib.auth"):
        del request.user
        return
    from django.contrib.auth.models import AnonymousUser

    nobody = AnonymousUser()

    async def auser() -> AnonymousUser:
        return nobody

    request.user = nobody
    request.auser = auser
