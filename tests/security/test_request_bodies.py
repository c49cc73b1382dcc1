"""A body is read whole or refused, never dropped or cut, whatever tells its end; at the running server.

Further members of the kind that are tried here: chunks in pieces, with extensions and trailers; a length and
chunks at once; lengths that lie, are negative, no number, or said twice; codings that are not known; bodies
that break off between two chunks, within one, and before their length; forms, which are complete at any
point; bodies that are empty, or sent with a GET; HTTP/1.0; a client that waits for 100 first.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from tests.servers.site import SiteServer

OPS_TOKEN = "0123456789abcdef" * 2
PASSWORD = "correct horse battery"
LIMIT = 1_048_576
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MINT = f"""
from django.contrib.auth.models import User
from zenow.accounts import access
print(access.mint(User.objects.create_superuser("writer", password="{PASSWORD}")))
"""


class Got(NamedTuple):
    status: int
    head: str
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def chunks(*parts: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + last


class Raw(SiteServer):
    token = ""

    def sends(self, request: bytes, *, then_closes: bool = False, later: Sequence[bytes] = ()) -> Got:
        """Send these very bytes on a connection of its own; return the last answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as stream:
                for part in later:
                    assert b" 100 " in stream.readline()
                    assert stream.readline() == b"\r\n"
                    connection.sendall(part)
                if then_closes:
                    connection.shutdown(socket.SHUT_WR)
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = stream.readline()
                    if not line:
                        return Got(0, head.decode(), b"")
                    head += line
                lines = dict(line.lower().split(": ", 1) for line in head.decode().splitlines()[1:-1])
                return Got(
                    int(head.split()[1]), head.decode(), stream.read(int(lines.get("content-length", 0)))
                )

    def asks(
        self,
        method: str,
        path: str,
        body: bytes,
        *,
        length: str = "Transfer-Encoding: chunked",
        kind: str = JSON,
        bearer: str = "",
        version: str = "1.1",
        **options: Any,
    ) -> Got:
        lines = [f"{method} {path} HTTP/{version}", "Host: localhost", f"Content-Type: {kind}", length]
        lines += [f"Authorization: Bearer {bearer or self.token}", "", ""]
        return self.sends("\r\n".join(line for line in lines).encode() + body, **options)

    def summary(self) -> tuple[str, int]:
        found = json.loads(self.get("/api/categories/kept").body)
        return found["description"], found["revision"]

    def changes(self, body: bytes, **options: Any) -> Got:
        return self.asks("PATCH", "/api/categories/kept", body, **options)


@pytest.fixture(scope="module")
def site() -> Iterator[Raw]:
    site = Raw(workers=1, OPS_TOKEN=OPS_TOKEN)
    assert site.manage("migrate", "--verbosity=0").returncode == 0
    site.token = site.manage("shell", "--verbosity=0", "-c", MINT).stdout.strip()
    with site:
        made = b'{"title": "Kept", "description": "first"}'
        length = f"Content-Length: {len(made)}"
        assert site.asks("POST", "/api/categories", made, length=length).status == 201
        yield site
        log = site.log.read_text()
        assert "Traceback" not in log, log[-3000:]


@pytest.mark.timeout(180)
class TestWithoutALength:
    def test_a_write_stores_what_was_sent(self, site: Raw) -> None:
        got = site.changes(chunks(b'{"descri', b'ption": "in two', b' chunks"}'))
        assert (got.status, got.json()["description"]) == (200, "in two chunks")
        assert site.summary()[0] == "in two chunks"

    def test_extensions_and_trailers_are_no_part_of_it(self, site: Raw) -> None:
        body = b'14;a="b"\r\n{"description":"ex"}\r\n0\r\nX-Sum: 1\r\n\r\n'
        assert site.changes(body).json()["description"] == "ex"

    def test_somebody_signs_in(self, site: Raw) -> None:
        asked = json.dumps({"username": "writer", "password": PASSWORD}).encode()
        assert "access_token" in site.asks("POST", "/api/auth/token", chunks(asked)).json()

    def test_a_reset_means_the_breakers_that_it_names(self, site: Raw) -> None:
        body = chunks(b'{"breakers": ["cache"]}')
        got = site.asks("POST", "/api/admin/reset-circuit-breakers", body, bearer=OPS_TOKEN)
        assert (got.status, got.json()["reset"]) == (200, ["cache"])

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            (FORM, chunks(b"breakers=cache")),
            (JSON, chunks()),
            (JSON, chunks(b"1")),
            ("text/plain", chunks(b"cache")),
            ("multipart/form-data; boundary=x", chunks(b"--x\r\n")),
        ],
    )
    def test_what_may_be_a_part_of_it_is_refused(self, site: Raw, kind: str, body: bytes) -> None:
        """This server does not tell that a body has broken off; a form would look complete."""
        for path in ("/api/admin/reset-circuit-breakers", "/admin/login/", "/admin/resilience/board/enter"):
            got = site.asks("POST", path, body, kind=kind, bearer=OPS_TOKEN)
            assert (got.status, got.json()["title"]) == (411, "Length Required")

    def test_a_form_of_parts_says_where_it_ends(self, site: Raw) -> None:
        form = b'--x\r\nContent-Disposition: form-data; name="breakers"\r\n\r\ncache\r\n--x--\r\n'
        kind = "multipart/form-data; boundary=x"
        path = "/api/admin/reset-circuit-breakers"
        got = site.asks("POST", path, chunks(form[:9], form[9:]), kind=kind, bearer=OPS_TOKEN)
        assert (got.status, got.json()["reset"]) == (200, ["cache"])

    @pytest.mark.parametrize("path", ["/api/categories", "/api/auth/token", "/admin/login/", "/nowhere"])
    def test_more_than_the_site_takes_is_refused(self, site: Raw, path: str) -> None:
        part = b'{"a": "' + b"x" * (LIMIT - 9) + b'"}'
        assert site.asks("POST", path, chunks(part)).status in (400, 403, 404)
        assert site.asks("POST", path, chunks(part, b" ")).status == 413

    @pytest.mark.parametrize(
        ("body", "closes"),
        [
            (chunks(b'{"description": "bro', last=b""), True),
            (chunks(b'{"description": "bro')[:-9], True),
            (chunks(b'{"description": "bro', last=b"zz\r\n\r\n"), False),
            (chunks(last=b"zz\r\n\r\n"), False),
            (chunks(last=b""), True),
        ],
    )
    def test_one_that_breaks_off_changes_nothing(self, site: Raw, body: bytes, closes: bool) -> None:
        before = site.summary()
        assert site.changes(body, then_closes=closes).status in (0, 400, 411)
        got = site.asks(
            "POST", "/api/admin/reset-circuit-breakers", body, bearer=OPS_TOKEN, then_closes=closes
        )
        assert got.status in (0, 400, 411)
        assert site.summary() == before

    @pytest.mark.parametrize("coding", ["gzip, chunked", "chunked, chunked", "gzip", "identity"])
    def test_another_transfer_coding_is_refused(self, site: Raw, coding: str) -> None:
        before = site.summary()
        body = chunks(b'{"description": "coded"}')
        assert site.changes(body, length=f"Transfer-Encoding: {coding}").status in (400, 501)
        assert site.summary() == before

    def test_a_client_may_wait_until_it_is_asked_for_it(self, site: Raw) -> None:
        length = "Transfer-Encoding: chunked\r\nExpect: 100-continue"
        got = site.changes(b"", length=length, later=[chunks(b'{"description": "waited"}')])
        assert got.json()["description"] == "waited"

    @pytest.mark.parametrize("charset", ["hex", "idna", "utf-16"])
    def test_a_charset_says_nothing_of_the_address(self, site: Raw, charset: str) -> None:
        for kind in (f"text/plain; charset={charset}", "text/plain"):
            said: Any = {"Content-Type": kind}
            got = site.get("/api/categories?page=%31", **said)
            assert (got.status, json.loads(got.body)["count"]) == (200, 1)

    def test_with_a_get_it_is_no_matter(self, site: Raw) -> None:
        got = site.asks("GET", "/api/categories/kept", chunks(b'{"slug": "other"}'))
        assert (got.status, got.json()["slug"]) == (200, "kept")
        assert site.asks("GET", "/api/categories/kept", chunks(), kind=FORM).status == 200


@pytest.mark.timeout(180)
class TestThatNobodyWants:
    """Its client reads why, though the answer is there before the body is."""

    @pytest.mark.parametrize("chunked", [False, True])
    @pytest.mark.parametrize(("token", "status"), [("nope", 401), ("", 413)])
    def test_is_answered_when_it_was_sent(self, site: Raw, token: str, status: int, chunked: bool) -> None:
        large = b'{"title": "' + b"x" * 6 * LIMIT + b'"}'
        said = {"Authorization": f"Bearer {token or site.token}", "Content-Type": JSON}
        for _ in range(3):  # a reset overtakes an answer now and then
            sent: Any = iter([large[:LIMIT], large[LIMIT:]]) if chunked else large
            connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
            connection.request("POST", "/api/categories", sent, said, encode_chunked=chunked)
            answer = connection.getresponse()
            # Of a body in chunks it is found that it is too large before anybody asks who sent it.
            assert answer.status == (413 if chunked else status)
            assert json.loads(answer.read())["status"] == answer.status
            connection.close()

    def test_is_refused_before_it_is_sent_if_its_client_waits(self, site: Raw) -> None:
        length = f"Content-Length: {9 * LIMIT}\r\nExpect: 100-continue"
        got = site.asks("POST", "/api/categories", b"", length=length, bearer="nope")
        assert got.status == 401


@pytest.mark.timeout(180)
class TestWithALength:
    @pytest.mark.parametrize(
        "length",
        ["-5", "five", "+5", "0x5", "5, 5", "1_0", "9" * 30, "24\r\nContent-Length: 23"],
    )
    def test_that_is_none_is_refused(self, site: Raw, length: str) -> None:
        before = site.summary()
        assert site.changes(b'{"description": "lied"}', length=f"Content-Length: {length}").status == 400
        assert site.summary() == before

    @pytest.mark.parametrize("kind", [JSON, FORM])
    def test_that_is_not_reached_is_refused(self, site: Raw, kind: str) -> None:
        """A form that breaks off would be a smaller form: here all breakers instead of one."""
        before = site.summary()
        said: Any = {"kind": kind, "length": "Content-Length: 99", "then_closes": True}
        assert site.changes(b'{"description": "short"}', **said).status in (0, 400, 415)
        body = b"breakers=cache&reason=x"
        got = site.asks("POST", "/api/admin/reset-circuit-breakers", body, bearer=OPS_TOKEN, **said)
        assert got.status in (0, 400)
        assert site.summary() == before

    def test_what_comes_after_it_is_no_part_of_it(self, site: Raw) -> None:
        body = b'{"description": "exact"}'
        got = site.changes(body + b"GET /", length=f"Content-Length: {len(body)}")
        assert got.json()["description"] == "exact"

    def test_chunks_count_where_both_are_said(self, site: Raw) -> None:
        both = "Content-Length: 4\r\nTransfer-Encoding: chunked"
        assert site.changes(chunks(b'{"description": "both"}'), length=both).json()["description"] == "both"
        hidden = "Content_Length: 4\r\nTransfer-Encoding: chunked"
        assert site.changes(chunks(b'{"description": "_"}'), length=hidden).json()["description"] == "_"

    def test_http_1_0_has_no_chunks(self, site: Raw) -> None:
        before = site.summary()
        assert site.changes(chunks(b'{"description": "old"}'), version="1.0").status == 400
        assert site.summary() == before
