"""The API's JSON: parsers with limits, a fast renderer, and who gets it."""

from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import IO, Any

import orjson
from django.conf import settings
from django.utils.functional import Promise
from rest_framework.exceptions import NotAcceptable, ParseError, UnsupportedMediaType
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from resilience.problems import MEDIA_TYPE, TooLargeError

# More levels than any body of ours has, and far fewer than Python's limit of recursion.
LEVELS = 32
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


class JSONRenderer(BaseRenderer):
    """Render UTF-8 JSON; times end in Z and decimals are numbers."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the bytes of `data`; raise TypeError for a value that JSON cannot hold."""
        return b"" if data is None else orjson.dumps(data, default=_plain, option=_OPTIONS)


class JSONParser(BaseParser):
    """Read UTF-8 JSON of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes and LEVELS levels (DRF has no limits)."""

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value of the body.

        Raises:
            TooLargeError: it has too many bytes; at most one more than the limit was read.
            ParseError: it is no JSON, is nested too deeply, or holds a lone surrogate, NaN or a number beyond
                a double.
        """
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLargeError(f"The body has more than {limit:,} bytes.")
        try:
            value = orjson.loads(
                body.removeprefix(BOM_UTF8)
            )  # Some clients begin with a mark (RFC 8259 §8.1).
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is no JSON: {error}.") from error
        # Other code may walk the value by recursion.
        if body.count(b"[") + body.count(b"{") > LEVELS and _is_deeper(value, LEVELS):
            raise ParseError(f"The body is nested in more than {LEVELS} levels.")
        return value


class MergePatchParser(JSONParser):
    """Read a JSON merge patch (RFC 7396), which PATCH alone takes; to our PATCH, JSON means the same."""

    media_type = "application/merge-patch+json"
    methods = ("PATCH",)

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value of the body; raise `UnsupportedMediaType` in another method."""
        if parser_context is not None and parser_context["request"].method not in self.methods:
            raise UnsupportedMediaType(self.media_type)
        return super().parse(stream, media_type, parser_context)


class Negotiation(DefaultContentNegotiation):
    """As DRF's, but an empty `Accept` says nothing, and a write is not refused by what its answer lacks.

    Clients that are made from the schema accept of a DELETE only problems, since nothing else has a body.
    """

    def get_accept_list(self, request: Any) -> list[str]:
        """Return the media ranges that the client accepts."""
        ranges = [one for one in super().get_accept_list(request) if one]
        return ranges or ["*/*"]

    def select_renderer(
        self, request: Any, renderers: Iterable[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        """Return the renderer and its media type; raise `NotAcceptable` if the client accepts none."""
        try:
            chosen: tuple[Any, str] = super().select_renderer(request, renderers, format_suffix)
        except NotAcceptable:
            bare = request.method in ("DELETE", "OPTIONS")
            takes = [one.partition(";")[0].strip() for one in self.get_accept_list(request)]
            if not bare and (request.method in ("GET", "HEAD") or MEDIA_TYPE not in takes):
                raise
            first = next(iter(renderers))
            return first, first.media_type
        return chosen


def _is_deeper(value: Any, levels: int) -> bool:
    """Tell whether arrays and objects are nested in more levels. It does not recurse."""
    level = [value]
    for _ in range(levels + 1):
        inner = [each for each in level if isinstance(each, list | dict)]
        level = [each for one in inner for each in (one.values() if isinstance(one, dict) else one)]
        if not inner:
            return False
    return True


def _plain(value: object) -> float | str:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Promise):
        return str(value)
    raise TypeError(f"JSON cannot hold {type(value).__name__}")
