"""The API's JSON: a parser with limits, and a fast renderer."""

from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any

import orjson
from django.conf import settings
from django.utils.functional import Promise
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from resilience.problems import TooLargeError, UnsupportedCodingError

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
            UnsupportedCodingError: it is compressed.
            ParseError: it is no JSON, is nested too deeply, or holds a lone surrogate, NaN or a number beyond
                a double.
        """
        coding = parser_context["request"].headers.get("Content-Encoding") if parser_context else None
        if coding and coding.strip().lower() != "identity":
            raise UnsupportedCodingError(f"A body with the Content-Encoding {coding[:40]!r} is not accepted.")
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLargeError(f"The body has more than {limit:,} bytes.")
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is no JSON: {error}.") from error
        # Other code may walk the value by recursion.
        if body.count(b"[") + body.count(b"{") > LEVELS and _is_deeper(value, LEVELS):
            raise ParseError(f"The body is nested in more than {LEVELS} levels.")
        return value


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
