"""What a view reads of its request, noted while it runs: what the key of its answer does not hold.

An answer may be stored for others only if nothing was read that is different for them. Some of it is read
late, by lazy objects in a template. So the request itself is watched, from the call of the view to the last
byte, by a subclass of its class that notes what is asked of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.http import HttpRequest
from django.utils.functional import LazyObject, SimpleLazyObject, empty

from resilience.answers.noted import NotedHeaders, NotedMeta

# Of META: what lies in the key, and the conditions of a request, which decide whether a 200 has a body.
_FREE = frozenset({"REQUEST_METHOD", "PATH_INFO", "SCRIPT_NAME", "QUERY_STRING", "CONTENT_LENGTH"})
_CONDITIONS = frozenset({"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"})
_REASONS = {
    "cookie": "cookie",
    "authorization": "account",
    "proxy-authorization": "account",
    "remote-user": "account",
}
# Attributes of a request that say who asks, by the reason for which the answer is then not stored.
_PERSONAL = {
    "session": "session",
    "auser": "account",
    "_cached_user": "account",
    "_acached_user": "account",
    "COOKIES": "cookie",
    "content_type": "header",
    "content_params": "header",
    "scope": "header",
    "__dict__": "attribute",
    "accepted_types": "header",
    "accepted_types_by_precedence": "header",
}
# Attributes that Django itself sets, and that either lie in the key or are noted in another way.
_OF_DJANGO = frozenset(
    {
        *(
            "META",
            "environ",
            "headers",
            "GET",
            "method",
            "path",
            "path_info",
            "script_name",
            "resolver_match",
        ),
        *("urlconf", "LANGUAGE_CODE", "site", "user", "csrf_processing_done", "csrf_cookie_needs_reset"),
        *("_body", "_stream", "_read_started", "_post", "_post_parse_error", "_files", "_encoding"),
        *("_upload_handlers", "_current_scheme_host", "_dont_enforce_csrf_checks", "_messages"),
        *("_cache_update_cache", "_cors_enabled"),
    }
)
# Attributes that Django looks for on each request, and that nobody's middleware sets for some of them alone.
_ASKED_BY_DJANGO = frozenset({"current_app", "sensitive_post_parameters_set", "exception_reporter_class"})
_ATTRIBUTE = "_resilience_watch"


class Watch:
    """Hold what was read of a request, by reason: `found` has the name of the first for each."""

    def __init__(self, request: HttpRequest, by_headers: frozenset[str]) -> None:
        self.found: dict[str, str] = {}
        self._by_headers = by_headers
        self._set_before = frozenset(vars(request)) - _OF_DJANGO - frozenset(_PERSONAL)

    def note(self, reason: str, name: str) -> None:
        """Note that something was read for which the answer must not be stored."""
        self.found.setdefault(reason, name)

    def attribute(self, name: str) -> None:
        """Note that an attribute of the request was read."""
        if (reason := _PERSONAL.get(name)) is not None:
            if name not in ("accepted_types", "accepted_types_by_precedence") or (
                "accept" not in self._by_headers
            ):
                self.note(reason, name)
        elif name in self._set_before:
            self.note("attribute", name)

    def absent(self, name: str) -> None:
        """Note that an attribute was looked for that the request lacks: for another client it may be set."""
        known = _OF_DJANGO.union(_PERSONAL, _ASKED_BY_DJANGO)
        if name not in known and not name.startswith(("__", _ATTRIBUTE)):
            self.note("attribute", name)

    def header(self, name: str) -> None:
        """Note that a header of the request was read, `name` as `Accept-Language`."""
        name = name.lower().replace("_", "-")
        if name not in _CONDITIONS and name not in self._by_headers:
            self.note(_REASONS.get(name, "header"), name)

    def meta(self, name: str) -> None:
        """Note that an entry of META was read."""
        if name in _FREE or (name.startswith("wsgi.") and name != "wsgi.url_scheme"):
            return
        if name.startswith("CSRF_COOKIE"):
            self.note("csrf", name)
        else:
            self.header(name.removeprefix("HTTP_"))


class _Watched:
    """Mixed into the class of a request while it is watched."""

    def __getattribute__(self, name: str) -> Any:
        watch = object.__getattribute__(self, "__dict__").get(_ATTRIBUTE)
        if watch is not None:
            watch[0].attribute(name)
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        watch = object.__getattribute__(self, "__dict__").get(_ATTRIBUTE)
        if watch is not None:
            watch[0].absent(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    @property
    def headers(self) -> NotedHeaders:
        """The headers, each of which is noted when it is read."""
        watch, meta = object.__getattribute__(self, "__dict__")[_ATTRIBUTE]
        return NotedHeaders(meta, watch.header)

    # Host and scheme lie in the key, as they were found out before.
    def get_host(self) -> str:
        """Return the host by which the site was asked."""
        return self._unnoticed("get_host")

    def get_port(self) -> str:
        """Return the port by which the site was asked."""
        return self._unnoticed("get_port")

    @property
    def scheme(self) -> str:
        """The scheme by which the site was asked."""
        return self._unnoticed("_scheme")

    def _unnoticed(self, name: str) -> str:
        own = object.__getattribute__(self, "__dict__")
        kept, noted = own["META"], own.get("environ")
        own["META"] = own[_ATTRIBUTE][1]
        if noted is not None:
            own["environ"] = own["META"]
        try:
            said: str = HttpRequest.scheme.fget(self) if name == "_scheme" else getattr(super(), name)()  # type: ignore[attr-defined]
        finally:
            own["META"] = kept
            if noted is not None:
                own["environ"] = noted
        return said


_kinds: dict[type[HttpRequest], type[HttpRequest]] = {}


def _watched(kind: type[HttpRequest]) -> type[HttpRequest]:
    if kind not in _kinds:
        _kinds[kind] = type(f"Watched{kind.__name__}", (_Watched, kind), {})
    return _kinds[kind]


def is_watched(request: HttpRequest) -> bool:
    """Tell whether somebody notes already what is read of this request."""
    return isinstance(request, _Watched)


@contextmanager
def watching(request: HttpRequest, by_headers: frozenset[str], *, earlier: bool = True) -> Iterator[Watch]:
    """Note within the block what is read of the request. `by_headers` are in the key, in small letters.

    What was read before counts as well, unless `earlier` says no. What is set on the request within the block
    stays, as without a watch.
    """
    request.GET  # noqa: B018  # Django keeps it in `__dict__` when it is first read
    watch = Watch(request, by_headers)
    if earlier:
        _note_state(request, watch, "before the view")
    kind, own, meta = type(request), vars(request), request.META
    noted = NotedMeta(meta, watch.meta)
    environ = own.get("environ")
    user = own.get("user")
    lazy = SimpleLazyObject(lambda: _user(user, watch))
    if "user" in own:
        own["user"] = lazy
    own["META"] = noted
    if environ is not None:
        own["environ"] = noted
    headers = own.pop("headers", None)
    own[_ATTRIBUTE] = (watch, dict(meta))
    request.__class__ = _watched(kind)
    try:
        yield watch
    finally:
        request.__class__ = kind
        del own[_ATTRIBUTE]
        own["META"] = meta
        if environ is not None:
            own["environ"] = environ
        if headers is not None:
            own["headers"] = headers
        _take_over(noted, meta)
        if own.get("user") is lazy:
            own["user"] = user
        if earlier:
            _note_state(request, watch, "by another way than the request")


def _take_over(noted: NotedMeta, meta: dict[str, Any]) -> None:
    """Write into META what the view has changed in the copy that stood for it."""
    now = dict(dict.items(noted))
    meta.clear()
    meta.update(now)


def _user(user: Any, watch: Watch) -> Any:
    watch.note("account", "user")
    if isinstance(user, LazyObject):
        if user._wrapped is empty:
            user._setup()
        return user._wrapped
    return user


def _note_state(request: HttpRequest, watch: Watch, when: str) -> None:
    """Note what was read unseen, by middleware before the view or of an object that it holds.

    The view may depend on what was made of that.
    """
    own = vars(request)
    user = own.get("user")
    known = user is not None and not (isinstance(user, LazyObject) and user._wrapped is empty)
    if known or "_cached_user" in own or "_acached_user" in own:
        watch.note("account", f"user, {when}")
    if getattr(own.get("session"), "accessed", False):
        watch.note("session", f"session, {when}")
    if "CSRF_COOKIE_NEEDS_UPDATE" in own["META"]:
        watch.note("csrf", f"token, {when}")
    _note_messages(own.get("_messages"), watch)


def _note_messages(storage: Any, watch: Watch) -> None:
    if storage is not None and (
        getattr(storage, "used", False)
        or getattr(storage, "added_new", False)
        or hasattr(storage, "_loaded_data")
    ):
        watch.note("messages", "messages")
