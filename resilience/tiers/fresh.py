"""The fresh tier: answers of the current state of the catalogue, served before anything else is tried.

It keeps each answer as it went out, with the headers of all other middleware, under the exact text of its
request. Requests with `Origin` (headers depend on it) or `Authorization` (it has to be checked) are not
served from here. They find the same stored answer in the view.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse

from resilience.request.response_headers import DATA_SOURCE
from resilience.tiers import catalogue_version, conditions
from resilience.tiers.lru import LRU
from resilience.tiers.stored import FRESH_FOR, Stored, varies_little

_MEMORY_BYTES = 4 * 1_048_576
_OVERHEAD = 1_000
# Headers that are not kept: each answer gets its own.
_NOT_KEPT = frozenset({"age", "cache-status", "date", "content-length", "x-request-id", "x-data-source"})

_Key = tuple[str | None, ...]


class _Front(NamedTuple):
    stored: Stored
    headers: dict[str, str]


_front: LRU[_Front] = LRU(_MEMORY_BYTES)


def answer(request: HttpRequest) -> HttpResponse | None:
    """Return the current answer to this very request, or 304 if the client has it; None if none is known.

    An answer to a refused host is never remembered, so that check need not be repeated here.
    """
    key = _key(request)
    if key is None or (found := _front.get(key)) is None:
        return None
    stored, headers = found
    if not stored.is_fresh(catalogue_version.current()):
        return None
    response = HttpResponse(stored.body, headers=headers)
    label(response, stored)
    return conditions.kept(request, response)


def label(response: HttpResponse, stored: Stored) -> None:
    """Label a stored answer as such, with the time for which it may still be served as a live one."""
    age = max(0, int(stored.age()))
    response[DATA_SOURCE] = "cached"
    response["Age"] = str(age)
    response["Cache-Status"] = f"resilience; hit; ttl={int(FRESH_FOR) - age}; detail=fresh"


def remember(request: HttpRequest, response: HttpResponse, stored: Stored) -> None:
    """Remember the response that a stored answer went out as, if the same request may get it again."""
    if response.status_code not in (200, 304) or response.cookies:
        return
    if response.status_code == 200 and response.content != stored.body:
        return  # another middleware has changed it, by compression for example, and has to do so each time
    key = _key(request)
    if key is not None and varies_little(response):
        # A 304 lacks the headers of the body.
        said = {**stored.headers, **dict(response.items())}
        headers = {name: value for name, value in said.items() if name.lower() not in _NOT_KEPT}
        _front.put(key, _Front(stored, headers), len(stored.body) + _OVERHEAD)


def forget() -> None:
    """Forget what this process remembers."""
    _front.clear()


def _key(request: HttpRequest) -> _Key | None:
    meta = request.META
    if request.method != "GET" or "HTTP_AUTHORIZATION" in meta or "HTTP_ORIGIN" in meta:
        return None
    return (
        meta.get("HTTP_HOST"),
        meta.get("HTTP_X_FORWARDED_HOST"),
        meta.get("HTTP_X_FORWARDED_PROTO"),
        meta.get("wsgi.url_scheme"),
        request.path,
        meta.get("QUERY_STRING"),
        meta.get("HTTP_ACCEPT"),
        meta.get("HTTP_ACCEPT_ENCODING"),
    )


os.register_at_fork(after_in_child=forget)
