"""Request bodies whose length nobody has told, and bodies that break off on the way.

Django reads as many bytes as `Content-Length` says, so a body that is sent in chunks (RFC 9112 §7.1: what
streaming clients and some proxies do) would be an empty one, and a body that breaks off would be a short one.
"""

from __future__ import annotations

import io
from http import HTTPStatus
from typing import IO, Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse

from resilience.problems import BrokenOffError, problem

# Its input says nothing of a body that has broken off: what came until then looks like the whole.
_SAYS_NOTHING = "Granian"


def receive(request: HttpRequest) -> HttpResponse | None:
    """Make the whole body readable, whatever tells its end; return the answer to one that cannot be read.

    A body without a length is read here, to its end and no further than `DATA_UPLOAD_MAX_MEMORY_SIZE` bytes.
    411 where the server does not show its end, 413 where it is longer, 400 where it broke off, 501 for
    transfer codings beside `chunked`. A body with a length is read later, by the view: where fewer bytes
    come, reading raises `BrokenOffError`.
    """
    meta = request.META
    coding = meta.get("HTTP_TRANSFER_ENCODING")
    if coding is None and meta.get("CONTENT_LENGTH"):
        if isinstance(request, WSGIRequest):
            _put(request, _WholeStream(meta["wsgi.input"], request._stream.limit))  # type: ignore[attr-defined]
        return None
    if coding is not None and coding.lower() != "chunked":
        return _refused(501, f"The transfer coding {coding[:40]!r} is not known here, only 'chunked' is.")
    if isinstance(request, ASGIRequest):
        return _measured(request)
    if coding is None and not meta.get("SERVER_PROTOCOL", "").startswith("HTTP/2"):
        return None  # There is none.
    if not meta.get("wsgi.input_terminated"):
        return _refused(411, "Send the body with its Content-Length.")
    return _read(request)


class _WholeStream(io.IOBase):
    """The body of a request that said its length: fewer bytes than that are an error."""

    def __init__(self, stream: IO[bytes], length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int | None = -1, /) -> bytes:
        """Return as many bytes, all that are left by default; none after the last."""
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


def _read(request: HttpRequest) -> HttpResponse | None:
    """Read a WSGI body to its end, and put it where Django looks."""
    meta = request.META
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    stream: IO[bytes] = meta["wsgi.input"]
    try:
        body = stream.read() if limit is None else stream.read(limit + 1)
    except OSError:
        return _refused(400, "The body broke off.")
    if limit is not None and len(body) > limit:
        return _too_large(limit)
    if meta.get("SERVER_SOFTWARE") == _SAYS_NOTHING and not _is_whole(request, body):
        return _refused(411, "Send the body with its Content-Length, so that its end can be told.")
    meta["wsgi.input"] = io.BytesIO(body)
    meta["CONTENT_LENGTH"] = str(len(body))
    _put(request, meta["wsgi.input"])
    return None


def _put(request: HttpRequest, stream: Any) -> None:
    """Let Django read the body from here; it has no public name for that."""
    request._stream = stream


def _measured(request: ASGIRequest) -> HttpResponse | None:
    """Tell Django the length of an ASGI body, which it has received whole."""
    stream: IO[bytes] = request._stream
    if not stream.seekable():
        return None  # Django's test client, which always says a length where there is a body.
    length = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if limit is not None and length > limit:
        return _too_large(limit)
    if length:
        request.META["CONTENT_LENGTH"] = str(length)
    return None


def _is_whole(request: HttpRequest, body: bytes) -> bool:
    """Tell whether a body shows by itself that it has come to its end; an empty one or a form does not."""
    kind, said = request.content_type or "", request.content_params or {}
    if kind == "multipart/form-data":
        return body.rstrip(b"\r\n").endswith(b"--" + said.get("boundary", "").encode() + b"--")
    # JSON that lacks its end is none, except a number.
    return kind.endswith(("/json", "+json")) and bool(body.strip(b" \t\r\n-+.eE0123456789"))


def _too_large(limit: int) -> HttpResponse:
    return _refused(413, f"The body has more than {limit:,} bytes, and does not say how many.")


def _refused(status: int, detail: str) -> HttpResponse:
    response = problem(status, HTTPStatus(status).phrase, detail)
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Length"] = str(len(response.content))
    return response
