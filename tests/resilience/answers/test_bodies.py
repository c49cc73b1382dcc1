"""What becomes of request bodies, whatever the server shows of their end; see also the running server's test.

The servers: granian swallows what breaks off; gunicorn raises; wsgiref and uWSGI do not decode chunks at all;
over HTTP/2 there is neither a length nor a transfer coding; an ASGI server has received the whole before.
"""

import io
import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.test import RequestFactory
from pytest_django import Settings

from resilience import registry
from resilience.answers import bodies
from resilience.primitives import BulkheadFullError
from resilience.problems import BrokenOffError
from resilience.testing import server_role

Communicator: Any = ApplicationCommunicator
BARE: Any = {"wsgi.input_terminated": False}
FORM = "application/x-www-form-urlencoded"


class BreaksOff(io.BytesIO):
    """Stand for a server that raises where a body breaks off, as gunicorn does."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError("invalid chunk size")


class Stalls(io.BytesIO):
    """Stand for a client that stops in the middle, on a server that bounds the wait."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise TimeoutError


class Full(io.BytesIO):
    """Stand for a server that waits for too many clients already."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise BulkheadFullError("bodies", retry_after=1.0, reason="full")


class Drips(io.BytesIO):
    """Stand for a server that gives what has come, and not all that was asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(3, size if size is not None and size >= 0 else 3))


def request(stream: io.BytesIO, kind: str = FORM, **environ: Any) -> WSGIRequest:
    made = RequestFactory().generic("POST", "/", content_type=kind)
    base = {name: value for name, value in made.environ.items() if name != "CONTENT_LENGTH"}
    said = {"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_TYPE": kind}
    return WSGIRequest(base | said | environ)


def chunked(body: bytes, kind: str = FORM, **environ: Any) -> WSGIRequest:
    return request(io.BytesIO(body), kind, HTTP_TRANSFER_ENCODING="chunked", **environ)


class TestWithoutALength:
    def test_a_plain_view_finds_the_form(self) -> None:
        asked = chunked(b"a=1&b=2")
        assert bodies.receive(asked) is None
        assert asked.POST.dict() == {"a": "1", "b": "2"}

    def test_a_plain_view_finds_the_bytes(self) -> None:
        asked = chunked(b"bytes", "application/octet-stream")
        assert bodies.receive(asked) is None
        assert (asked.body, asked.META["CONTENT_LENGTH"]) == (b"bytes", "5")

    def test_over_http_2_it_is_read_too(self) -> None:
        asked = request(io.BytesIO(b"a=1"), SERVER_PROTOCOL="HTTP/2")
        assert bodies.receive(asked) is None
        assert asked.POST.dict() == {"a": "1"}

    def test_over_http_2_a_get_has_none(self) -> None:
        asked = request(
            io.BytesIO(), SERVER_PROTOCOL="HTTP/2", SERVER_SOFTWARE="Granian", REQUEST_METHOD="GET"
        )
        assert bodies.receive(asked) is None

    def test_over_http_1_there_is_none_without_chunks(self) -> None:
        stream = io.BytesIO(b"the next request")
        assert bodies.receive(request(stream, SERVER_PROTOCOL="HTTP/1.1")) is None
        assert stream.tell() == 0

    def test_no_more_is_read_than_the_site_takes(self, settings: Settings) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        assert bodies.receive(chunked(b"x" * 10)) is None
        stream = io.BytesIO(b"x" * 1_000)
        refused = bodies.receive(request(stream, HTTP_TRANSFER_ENCODING="chunked"))
        assert refused is not None
        assert (refused.status_code, stream.tell()) == (413, 11)

    def test_a_project_without_a_limit_has_none_here(self, settings: Settings) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
        asked = chunked(b"x" * 100)
        assert bodies.receive(asked) is None
        assert len(asked.body) == 100

    @pytest.mark.parametrize(
        ("asked", "status"),
        [
            (chunked(b"a=1", **BARE), 411),
            (chunked(b"a=1", SERVER_SOFTWARE="Granian"), 411),
            (request(BreaksOff(), HTTP_TRANSFER_ENCODING="chunked"), 400),
            (request(io.BytesIO(), HTTP_TRANSFER_ENCODING="gzip, chunked"), 501),
        ],
    )
    def test_whose_end_cannot_be_seen_is_refused(self, asked: HttpRequest, status: int) -> None:
        refused = bodies.receive(asked)
        assert refused is not None
        assert (refused.status_code, json.loads(refused.content)["status"]) == (status, status)

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("body", [b"", b"a=1"])
    def test_with_a_read_it_means_nothing(self, method: str, body: bytes) -> None:
        assert bodies.receive(chunked(body, SERVER_SOFTWARE="Granian", REQUEST_METHOD=method)) is None


PARTS = "multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'


class TestWhatCannotBeRead:
    """Forms in parts that came short, and JSON that a parser would take for an endless one, with a length."""

    @staticmethod
    def refused(body: bytes, kind: str) -> int:
        answer = bodies.receive(request(io.BytesIO(body), kind, CONTENT_LENGTH=str(len(body))))
        return 0 if answer is None else answer.status_code

    @pytest.mark.parametrize(
        "body", [PART, PART[:-9], b"--x", b"--x-", b"--x\r\n", PART + b"--y--\r\n", b"a=1"]
    )
    def test_a_form_without_its_last_boundary(self, body: bytes) -> None:
        assert self.refused(body, PARTS) == 400

    @pytest.mark.parametrize("end", [b"--x--", b"--x--\r\n", b"--x--\r\nan epilogue"])
    def test_a_form_with_it_is_read(self, end: bytes) -> None:
        assert self.refused(PART + end, PARTS) == 0
        assert self.refused(end, PARTS) == 0
        assert self.refused(b"", PARTS) == 0

    @pytest.mark.parametrize(
        "kind",
        [
            "application/json",
            "application/json; charset=utf-16",
            "application/a+json",
            "application/*",  # DRF hands it to its parser of JSON
            "*/*",
            "",
            "application/x-www-form-urlencoded",  # what curl says of any body
        ],
    )
    @pytest.mark.parametrize(
        ("opens", "closes"), [("[", "]"), ('{"a":', "}"), ('[{"[":', "}]"), ('["]",', "]")]
    )
    @pytest.mark.parametrize("depth", [101, 1_000, 50_000])
    def test_json_of_more_levels_than_a_parser_takes(
        self, kind: str, opens: str, closes: str, depth: int
    ) -> None:
        text = opens * depth + "1" + closes * depth
        charset = "utf-16" if "utf-16" in kind else "utf-8"
        assert self.refused(text.encode(charset), kind) == 400
        assert self.refused((opens * depth).encode(charset), kind) == 400

    @pytest.mark.parametrize(
        "text",
        [
            "[" * 100 + "]" * 100,
            "[" + "[]," * 1_000 + "{}]",
            '{"a": "' + "[" * 1_000 + '"}',
            '{"a": "\\"' + "[{" * 1_000 + '\\\\"}',
            '"' + "[" * 1_000,
        ],
    )
    def test_json_of_fewer_is_read(self, text: str) -> None:
        assert self.refused(text.encode(), "application/json") == 0

    def test_what_is_no_json_may_hold_brackets(self) -> None:
        assert self.refused(b"[" * 1_000, "text/plain") == 0


CODECS = ["hex", "rot13", "idna", "punycode", "zlib", "undefined"]


class TestCharset:
    """Python's codecs that are no charset raise an error wherever the body or the query is read."""

    @pytest.mark.parametrize("charset", CODECS)
    def test_of_a_body_that_is_none_is_passed_over(self, charset: str) -> None:
        asked = chunked(PART + b"--x--", f"{PARTS}; charset={charset}")
        assert bodies.receive(asked) is None
        assert asked.POST.dict() == {"a": "1"}

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_says_nothing_of_an_address_that_is_read(self, method: str) -> None:
        kind = "text/plain; charset=latin-1"
        asked = request(io.BytesIO(), kind, REQUEST_METHOD=method, QUERY_STRING="a=%C3%A9")
        assert bodies.receive(asked) is None
        assert asked.GET["a"] == "é"


class TestWithALength:
    @pytest.mark.parametrize(
        ("stream", "status"),
        [(io.BytesIO(b"a=1&b"), 400), (BreaksOff(), 400), (Stalls(), 408), (Full(), 503)],
    )
    def test_that_is_not_reached_is_no_smaller_form(self, stream: io.BytesIO, status: int) -> None:
        refused = bodies.receive(request(stream, CONTENT_LENGTH="9"))
        assert refused is not None
        assert refused.status_code == status
        assert ("Retry-After" in refused) == (status == 503)

    def test_that_waits_for_too_many_others_is_counted_as_shed(self) -> None:
        with server_role():
            refused = bodies.receive(request(Full(), CONTENT_LENGTH="9"))
            assert registry.store().counters.totals()["shed", "bodies", "busy"] == 1
        assert refused is not None
        assert refused["X-Degraded-Reason"] == "busy"

    def test_of_more_than_is_read_ahead_is_found_out_by_the_view(self, settings: Settings) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 3
        asked = request(io.BytesIO(b"a=1&b"), CONTENT_LENGTH="9")
        assert bodies.receive(asked) is None
        with pytest.raises(BrokenOffError):
            asked.read()

    def test_leaves_the_server_s_input_open(self) -> None:
        asked = request(io.BytesIO(b"a=1"), CONTENT_LENGTH="3")
        assert bodies.receive(asked) is None
        assert asked.body == b"a=1"
        assert not asked.META["wsgi.input"].closed

    def test_that_comes_in_pieces_is_whole(self) -> None:
        asked = request(Drips(b"a=1&b=22&c=333"), CONTENT_LENGTH="14")
        assert bodies.receive(asked) is None
        assert asked.POST.dict() == {"a": "1", "b": "22", "c": "333"}

    def test_is_read_line_by_line_and_no_further(self) -> None:
        asked = request(io.BytesIO(b"one\ntwo\nthe next"), CONTENT_LENGTH="8")
        assert bodies.receive(asked) is None
        assert list(asked) == [b"one\n", b"two\n"]

    @pytest.mark.parametrize("length", ["-1", "0"])
    def test_that_is_none_means_no_body(self, length: str) -> None:
        asked = request(io.BytesIO(b"a=1"), CONTENT_LENGTH=length)
        assert bodies.receive(asked) is None
        assert asked.POST.dict() == {}


class TestUnderAsgi:
    @staticmethod
    def answers(body: bytes, *headers: tuple[bytes, bytes]) -> tuple[int, bytes]:
        async def ask() -> tuple[int, bytes]:
            scope = {
                "type": "http", "http_version": "1.1", "method": "POST", "path": "/api/sent",
                "query_string": b"", "headers": [(b"host", b"testserver"), *headers],
            }  # fmt: skip
            site: Any = Communicator(ASGIHandler(), scope)
            half = len(body) // 2
            await site.send_input({"type": "http.request", "body": body[:half], "more_body": True})
            await site.send_input({"type": "http.request", "body": body[half:], "more_body": False})
            start, answer = await site.receive_output(10), await site.receive_output(10)
            await site.wait()
            return start["status"], answer["body"]

        return async_to_sync(ask)()

    @pytest.fixture(autouse=True)
    def _site(self, settings: Settings) -> None:
        settings.ROOT_URLCONF = "tests.resilience.outage_urls"

    @pytest.mark.parametrize("headers", [[(b"transfer-encoding", b"chunked")], []])
    def test_a_form_is_found(self, headers: list[tuple[bytes, bytes]]) -> None:
        kind = (b"content-type", FORM.encode())
        assert self.answers(b"a=1&b=2", kind, *headers) == (200, b'{"a": "1", "b": "2"}')

    def test_a_form_in_parts_is_found(self) -> None:
        kind = (b"content-type", b"multipart/form-data; boundary=x")
        body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
        assert self.answers(body, kind) == (200, b'{"a": "1"}')
        assert self.answers(body[:-9], kind)[0] == 400

    def test_json_of_too_many_levels_is_refused(self) -> None:
        assert self.answers(b"[" * 1_000, (b"content-type", b"application/json"))[0] == 400

    def test_more_than_the_site_takes_is_refused(self, settings: Settings) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        assert self.answers(b"x" * 11)[0] == 413
