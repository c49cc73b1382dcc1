"""The key of a plain view's answer: all that it may depend on without belonging to one client alone."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.urls import get_script_prefix, get_urlconf
from django.utils import timezone, translation

# What the arguments of a view may be. Of another object nobody knows what it stands for.
_PLAIN = (str, int, float, bool, type(None), UUID, date, Decimal)


class NoKeyError(Exception):
    """The answer cannot have a key: `reason` is one of `not_stored.REASONS`, `what` says more."""

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(f"{reason}: {what}")
        self.reason = reason
        self.what = what


def key_of(
    view: str,
    request: HttpRequest,
    args: Iterable[Any],
    kwargs: Mapping[str, Any],
    by_headers: Iterable[str],
) -> str:
    """Return the key of the answer that `view` gives to this request; raise `NoKeyError` if it has none.

    It holds the address by which the site was asked, with the query as it was sent, what middleware made of
    both, the language, the time zone and the URLconf in force, the arguments of the view, and the headers
    that the view names.
    """
    arguments = [*args, *kwargs.values()]
    if not all(isinstance(value, _PLAIN) for value in arguments):
        raise NoKeyError("argument", "an argument of the view is no plain value")
    meta = request.META
    if meta.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in meta:
        raise NoKeyError("body", "the request has a body")
    try:
        address = request.build_absolute_uri()
    except DisallowedHost as error:
        raise NoKeyError("host", "the host is not allowed") from error
    said = (
        view,
        address,
        request.get_port(),
        request.path,
        get_script_prefix(),
        request.path_info,
        meta.get("QUERY_STRING", ""),
        request.GET.urlencode(),
        getattr(request, "LANGUAGE_CODE", None),
        repr(getattr(getattr(request, "site", None), "pk", None)),
        request.encoding,
        translation.get_language(),
        timezone.get_current_timezone_name(),
        str(getattr(request, "urlconf", None)),
        str(get_urlconf()),
        [repr(value) for value in args],
        sorted((name, repr(value)) for name, value in kwargs.items()),
        [(name, request.headers.get(name)) for name in sorted(by_headers)],
    )
    return "resilience:view:" + hashlib.blake2b(repr(said).encode(), digest_size=16).hexdigest()


def identity_of(view: Any) -> str:
    """Return what tells a view from all others: its name, and what it was made with.

    It is the same in each process, unless the view was made within a function, or with an object of which
    nobody knows what it stands for: then it is one of this process and of those that it forks.
    """
    named = getattr(view, "view_class", view)
    name = f"{named.__module__}.{getattr(named, '__qualname__', '<object>')}"
    said = f"{name} {_said(getattr(view, 'view_initkwargs', {}))}"
    return f"{said} {secrets.token_hex(16)}" if "<" in said else said


def _said(value: Any) -> str:
    """Return a value as text; a `<` in it says that the text may stand for another value as well."""
    if isinstance(value, str):
        return repr(value).replace("<", "\\x3c")
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(sorted(f"{_said(key)}: {_said(one)}" for key, one in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_said, value)) + "]"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return "<object>"
