"""Conditions of a request (`If-Match` and its like), checked in the order of RFC 9110 §13.2.2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags, parse_http_date_safe

from resilience.problems import problem
from resilience.tiers import labels

CHANGED = "It has changed since, or the tag is none of ours. Read it again."
_NOT_KNOWN = (
    "This answer is a stand-in, and the tag is not its own. Nobody can say at the moment whether what has "
    "that tag has changed."
)
_ANY = ["*"]
# Headers that say something of a body, or of how it may be kept. A refusal in its place has its own.
_OF_BODY = frozenset(
    {
        *("accept-ranges", "age", "cache-control", "cache-status", "content-disposition", "content-encoding"),
        *("content-language", "content-length", "content-location", "content-range", "content-type", "etag"),
        *("expires", "last-modified"),
    }
)
# The answers to a GET that preconditions are for: whole, in part, or known to the client.
_ANSWERED = (200, 206, 304)


def failed(
    meta: Mapping[str, Any],
    is_current: Callable[[str], bool],
    *,
    exists: bool = True,
    modified: int | None = None,
) -> str | None:
    """Return the name of the first condition that does not hold; None if all hold.

    `is_current` tells whether a strong tag is that of the present state; `exists`, whether there is anything;
    `modified` is the time of the last change, in wall seconds. None of our own answers has such a time: a
    condition on it is then ignored, as the standard demands.
    """
    if not _has_any(meta):
        return None
    if (given := meta.get("HTTP_IF_MATCH")) is not None:
        tags = parse_etags(given)
        strong = (tag for tag in tags if not tag.startswith("W/"))
        if not (exists and (tags == _ANY or any(map(is_current, strong)))):
            return "If-Match"
    elif modified is not None:
        since = parse_http_date_safe(meta.get("HTTP_IF_UNMODIFIED_SINCE", ""))
        if since is not None and modified > since:
            return "If-Unmodified-Since"
    if (given := meta.get("HTTP_IF_NONE_MATCH")) is not None:
        tags = parse_etags(given)
        if exists and (tags == _ANY or any(is_current(tag.removeprefix("W/")) for tag in tags)):
            return "If-None-Match"
    return None


def kept(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return the answer to a read, or 304 if the client has it already, or 412 if a condition fails.

    A stand-in has a tag of its own, which stands for these bytes. It cannot say that what is stored is there
    (`If-None-Match: *`), so it answers that in full.
    """
    if response.status_code != 200 or response.streaming:
        return response
    condition = failed(request.META, lambda tag: tag == response.get("ETag"))
    if condition is None:
        return response
    degraded = labels.is_degraded(response.get("ETag", ""))
    if condition != "If-None-Match":
        return _refused(response, _NOT_KNOWN if degraded else CHANGED)
    if degraded and parse_etags(request.META["HTTP_IF_NONE_MATCH"]) == _ANY:
        return response
    response.status_code = 304
    response.content = b""
    del response["Content-Type"]
    return response


def kept_elsewhere(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Return the answer of any view to a GET, or 412; a 304 is left to the view, but not before a 412."""
    if (
        response.status_code not in _ANSWERED
        or request.method not in ("GET", "HEAD")
        or not _has_any(request.META)
    ):
        return response
    condition = failed(
        request.META,
        lambda tag: tag == response.get("ETag"),
        modified=parse_http_date_safe(response.get("Last-Modified", "")),
    )
    if condition in (None, "If-None-Match"):
        return response
    response.close()
    return _refused(response, CHANGED)


def _has_any(meta: Mapping[str, Any]) -> bool:
    return "HTTP_IF_NONE_MATCH" in meta or "HTTP_IF_MATCH" in meta or "HTTP_IF_UNMODIFIED_SINCE" in meta


def _refused(instead_of: HttpResponseBase, detail: str) -> HttpResponse:
    """Return a 412. Headers of other middleware, and of the tier, stay those of the answer it replaces."""
    response = problem(412, detail=detail)
    for name, value in instead_of.items():
        if name.lower() not in _OF_BODY:
            response[name] = value
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response
