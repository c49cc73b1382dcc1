"""JSON in and out of the API."""

import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.utils.translation import gettext_lazy
from pytest_django import Settings
from rest_framework.exceptions import ParseError

from resilience.problems import TooLargeError
from zenow.media import LEVELS, JSONParser, JSONRenderer


class TestRenderer:
    def test_writes_decimals_as_numbers_and_moments_in_utc(self) -> None:
        data = {"credits": Decimal("1.50"), "at": datetime(2026, 1, 15, 10, 30, tzinfo=UTC), "é": None}
        assert JSONRenderer().render(data) == '{"credits":1.5,"at":"2026-01-15T10:30:00Z","é":null}'.encode()

    def test_writes_lazy_texts_and_nothing(self) -> None:
        assert JSONRenderer().render([gettext_lazy("Yes")]) == b'["Yes"]'
        assert JSONRenderer().render(None) == b""

    def test_refuses_what_json_cannot_hold(self) -> None:
        with pytest.raises(TypeError):
            JSONRenderer().render({"x": object()})


class TestParser:
    def test_reads_up_to_the_limit(self, settings: Settings) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        assert JSONParser().parse(io.BytesIO(b'["123456"]')) == ["123456"]
        stream = io.BytesIO(b'["1234567"]' + b" " * 1000)
        with pytest.raises(TooLargeError):
            JSONParser().parse(stream)
        assert stream.tell() == 11

    def test_passes_over_a_mark_at_the_beginning(self) -> None:
        mark = b"\xef\xbb\xbf"
        assert JSONParser().parse(io.BytesIO(mark + b'{"a": "' + mark + b'"}')) == {"a": "\ufeff"}

    def test_reads_no_more_than_its_levels(self) -> None:
        wide = b"[" + b"[]," * 1_000 + b"[]]"
        assert len(JSONParser().parse(io.BytesIO(wide))) == 1_001
        deep = b"[" * LEVELS + b"]" * LEVELS
        assert JSONParser().parse(io.BytesIO(deep)) is not None
        with pytest.raises(ParseError, match="nested"):
            JSONParser().parse(io.BytesIO(b"[" + deep + b"]"))

    @pytest.mark.parametrize("body", [b"", b"{", b"NaN", b'"\\ud800"', b"\xff", b"[" * 3000])
    def test_refuses_what_is_no_json(self, body: bytes) -> None:
        with pytest.raises(ParseError):
            JSONParser().parse(io.BytesIO(body))
