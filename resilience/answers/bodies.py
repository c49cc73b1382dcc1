"""Request bodies that come without a length, break off on the way, are compressed, or are nested too deeply.

Django reads as many bytes as `Content-Length` says. So a body in chunks (RFC 9112 §7.1, sent by streaming
clients and some proxies) would be read as empty, and one that breaks off as a short one. Python's JSON parser
raises `RecursionError` for some thousand levels, which would be a 500. And it would take a compressed body
for what the client means.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from itertools import accumulate
from typing import IO

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse

from resilience.answers.unavailable import unavailable
from resilience.primitives import RejectedError
from resilience.problems import BrokenOffError, problem
from resilience.request import shed
from resilience.request.charset import is_charset

# The server whose input does not show that a body has broken off: the part that came looks like the whole.
_SAYS_NOTHING = "Granian"
_READS = ("GET", "HEAD")
_WITHOUT = ("GET", "HEAD", "DELETE", "OPTIONS")
_PARTS = "multipart/form-data"
_FORM = "application/x-www-form-urlencoded"
# The most levels of JSON, far below Python's limit of recursion. (A parser may take fewer.)
_LEVELS = 100
# Everything in JSON but its brackets; a bracket within a string is part of the string.
_BESIDE_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[^"\[\]{}]+', re.DOTALL)
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


# Note [The charset of an address]
# Django decodes the query of an address by the charset that Content-Type names for the body. Then one address
# could mean two things, also in answers that are stored for everybody. So a read's charset is ignored. A
# codec that is no charset ("hex") would be an error when query or body are read, so it is ignored like an
# unknown one.
def receive(request: HttpRequest) -> HttpResponse | None:
    """Make the whole body readable, with or without a length; return the answer if it cannot be read.

    It is read here, before the request holds a place or has a budget, up to `DATA_UPLOAD_MAX_MEMORY_SIZE`
    bytes. A body without a length is 411 if the server does not show its end, 413 if it is longer than that,
    501 if its transfer coding is not `chunked`. A compressed body (`Content-Encoding`) is 415: no view would
    have to bound what becomes of it. A body that breaks off or is nested too deeply is 400; one
    that takes too long is 408. A body whose `Content-Length` is larger than that is left to the view: if
    fewer bytes come, reading it raises `BrokenOffError`. See also Note [The charset of an address].
    """
    if request.encoding is not None and (request.method in _READS or not is_charset(request.encoding)):
        request.encoding = None  # type: ignore[assignment]  # the site's own
    meta = request.META
    coding = meta.get("HTTP_TRANSFER_ENCODING")
    if (compressed := _compressed(request)) is not None:
        return compressed
    if coding is None and meta.get("CONTENT_LENGTH"):
        return _with_length(request) if isinstance(request, WSGIRequest) else None
    if coding is not None and coding.lower() != "chunked":
        return _refused(501, f"The transfer coding {coding[:40]!r} is not known here, only 'chunked' is.")
    if isinstance(request, ASGIRequest):
        return _measured(request)
    if coding is None and (
        request.method in _WITHOUT or not meta.get("SERVER_PROTOCOL", "").startswith("HTTP/2")
    ):
        return None  # There is none.
    if not meta.get("wsgi.input_terminated"):
        return _refused(411, "Send the body with its Content-Length.")
    return _read(request)


def _compressed(request: HttpRequest) -> HttpResponse | None:
    """Return the answer to a body in a content coding; None for any other request."""
    given = request.META.get("HTTP_CONTENT_ENCODING")
    if given is None or request.method in _READS or not _may_have_body(request):
        return None
    if {name.strip().lower() for name in given.split(",")} <= {"identity", ""}:
        return None
    response = _refused(415, f"A body with the Content-Encoding {given[:40]!r} is not accepted.")
    response["Accept-Encoding"] = "identity"
    return response


def _may_have_body(request: HttpRequest) -> bool:
    meta = request.META
    if "HTTP_TRANSFER_ENCODING" in meta or meta.get("CONTENT_LENGTH"):
        return meta.get("CONTENT_LENGTH") != "0"
    # HTTP/1.1 says one of both; later versions need not.
    return request.method not in _WITHOUT and not meta.get("SERVER_PROTOCOL", "").startswith("HTTP/1")


class _WholeStream(io.IOBase):
    """The body of a request with a `Content-Length`: fewer bytes than that are an error."""

    def __init__(self, stream: IO[bytes], length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes, or all that are left; b"" after the last. Raises `BrokenOffError`."""
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        parts = []
        while wanted > 0:
            part = self._stream.read(wanted)
            if not part:
                raise BrokenOffError("The body broke off: fewer bytes came than its Content-Length says.")
            parts.append(part)
            wanted -= len(part)
            self._left -= len(part)
        return b"".join(parts)


def _with_length(request: WSGIRequest) -> HttpResponse | None:
    length: int = request._stream.limit  # type: ignore[attr-defined]
    stream = _WholeStream(request.META["wsgi.input"], length)
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if limit is None or length > limit:
        request._stream = stream  # type: ignore[assignment]
        return None
    body = _received(stream.read)
    if isinstance(body, HttpResponse):
        return body
    _put(request, body)
    return _wrong_with(request, body)


def _received(read: Callable[[], bytes]) -> bytes | HttpResponse:
    """Return what was read, or the answer if reading failed."""
    try:
        return read()
    except RejectedError as error:
        shed.note(error.name, error, read=False)
        return unavailable(error, writes=True)
    except TimeoutError:
        return _refused(408, "The body took too long.")
    except (OSError, BrokenOffError):
        return _refused(
            400, "The body broke off: it has no end, or fewer bytes than its Content-Length says."
        )


def _read(request: HttpRequest) -> HttpResponse | None:
    """Read a WSGI body without a length."""
    meta = request.META
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    stream: IO[bytes] = meta["wsgi.input"]
    body = _received(stream.read if limit is None else partial(stream.read, limit + 1))
    if isinstance(body, HttpResponse):
        return body
    if limit is not None and len(body) > limit:
        return _too_large(limit)
    # A body of a GET means nothing (RFC 9110 §9.3.1), so it need not be whole.
    says_nothing = meta.get("SERVER_SOFTWARE") == _SAYS_NOTHING and request.method not in _READS
    if says_nothing and not _is_whole(request, body):
        return _refused(411, "Send the body with its Content-Length, so that its end can be told.")
    _put(request, body)
    return _wrong_with(request, body)


def _put(request: HttpRequest, body: bytes) -> None:
    """Put a body where Django reads it; there is no public way to do so."""
    request._stream = io.BytesIO(body)
    request.META["wsgi.input"] = io.BytesIO(body)  # Django closes its own.
    request.META["CONTENT_LENGTH"] = str(len(body))


def empty(request: HttpRequest) -> None:
    """Replace the body by an empty one."""
    _put(request, b"")


def _measured(request: ASGIRequest) -> HttpResponse | None:
    """Tell Django the length of an ASGI body, which it has received whole."""
    stream: IO[bytes] = request._stream
    if not stream.seekable():
        return None  # Django's test client, which gives every body a length
    length = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if limit is not None and length > limit:
        return _too_large(limit)
    if not length:
        return None
    request.META["CONTENT_LENGTH"] = str(length)
    if limit is None:
        return None
    body = stream.read()
    stream.seek(0)
    return _wrong_with(request, body)


def _wrong_with(request: HttpRequest, body: bytes) -> HttpResponse | None:
    """Return the answer to a whole body that no view could read; else None."""
    if body and request.content_type == _PARTS and not _has_all_parts(request, body):
        return _refused(400, "The form broke off: it lacks the boundary that ends it.")
    if _may_be_json(request) and body.count(b"[") + body.count(b"{") > _LEVELS:
        text = body.decode(request.encoding or settings.DEFAULT_CHARSET, "replace")
        brackets = _BESIDE_BRACKETS.sub("", text)
        if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > _LEVELS:
            return _refused(400, f"The body is nested in more than {_LEVELS} levels.")
    return None


def _is_whole(request: HttpRequest, body: bytes) -> bool:
    """Tell whether the body itself shows that it is complete; an empty one or a form does not."""
    if request.content_type == _PARTS:
        return _has_all_parts(request, body)
    # JSON without its end is not valid, unless it is a number.
    return _is_json(request) and bool(body.strip(b" \t\r\n-+.eE0123456789"))


def _has_all_parts(request: HttpRequest, body: bytes) -> bool:
    last = b"--" + (request.content_params or {}).get("boundary", "").encode() + b"--"
    return body.startswith(last) or b"\n" + last in body


def _is_json(request: HttpRequest) -> bool:
    return (request.content_type or "").endswith(("/json", "+json"))


def _may_be_json(request: HttpRequest) -> bool:
    """Tell whether a view may parse it as JSON: DRF matches wildcards, and many views ignore the type."""
    kind = request.content_type or ""
    return _is_json(request) or kind in ("", _FORM) or "*" in kind


def _too_large(limit: int) -> HttpResponse:
    return _refused(413, f"The body has more than {limit:,} bytes, and does not say how many.")


def _refused(status: int, detail: str) -> HttpResponse:
    response = problem(status, HTTPStatus(status).phrase, detail)
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Length"] = str(len(response.content))
    return response
