"""Input made to harm: told apart and refused at once, with a status of the client's own making."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.servers.site import SiteServer

OPS_TOKEN = "0123456789abcdef" * 2
# Far below what any of these would take if it were worked through, far above what a busy machine adds.
AT_ONCE = 10.0
MEGABYTE = 1_048_576
# In the place of a status: the server has refused so early that the rest of the request met a closed door.
CUT = 444
MINT = """
from django.contrib.auth.models import User
from zenow.accounts import access
print(access.mint(User.objects.create_superuser("writer")))
"""


class Hostile(SiteServer):
    token = ""

    def sends(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Send bytes as they are; return the status and the body of the answer, or CUT and nothing."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=AT_ONCE)
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value.encode("latin-1"))
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        try:
            with suppress(BrokenPipeError):  # The answer may be there before the body is.
                connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (ConnectionError, http.client.BadStatusLine):
            return CUT, b""
        finally:
            connection.close()

    def writes(self, body: bytes, **headers: str) -> int:
        """Try to store a category of these bytes; return the status."""
        own = {"Authorization": f"Bearer {self.token}", "Content_Type": "application/json"}
        return self.sends("POST", "/api/categories", body, **own | headers)[0]


@pytest.fixture(scope="module")
def site() -> Iterator[Hostile]:
    site = Hostile(workers=1, OPS_TOKEN=OPS_TOKEN)
    assert site.manage("migrate", "--verbosity=0").returncode == 0
    site.token = site.manage("shell", "--verbosity=0", "-c", MINT).stdout.strip()
    with site:
        yield site
        lines = [json.loads(line) for line in site.log.read_text().splitlines() if line.startswith("{")]
    errors = [line for line in lines if line["level"] in ("ERROR", "CRITICAL")]
    # What Django finds suspicious it says as an error; one of ours would be another.
    assert [line for line in errors if not line["logger"].startswith("django.security")] == []


@pytest.mark.timeout(180)
class TestBodies:
    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b'{"title": "' + b"x" * MEGABYTE + b'"}', 413),
            (b"[" * 100_000 + b"]" * 100_000, 400),
            (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400),
            (b'{"title": ' + b"9" * 100_000 + b"}", 400),
            (b'{"title": 1e400}', 400),
            (b'{"title": NaN}', 400),
            (b'{"title": "\xff\xfe"}', 400),
            (b'{"title": "\\ud800"}', 400),
            (b'{"title": "a\\u0000b"}', 400),
            (b'{"title": {"$gt": ""}}', 400),
            (b"[]", 400),
            (b"null", 400),
            (b"\x00" * 1000, 400),
            (b"", 400),
        ],
        ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else str(value),
    )
    def test_that_are_no_entry_are_refused(self, site: Hostile, body: bytes, status: int) -> None:
        assert site.writes(body) in ((413, CUT) if status == 413 else (status,))

    def test_of_another_kind_are_refused(self, site: Hostile) -> None:
        for kind in ("text/xml", "multipart/form-data", "application/json; charset=utf-7", "x" * 500):
            assert site.writes(b"<a/>", Content_Type=kind) in (400, 415)

    def test_with_ten_thousand_members_are_refused_by_the_first_that_is_wrong(self, site: Hostile) -> None:
        body = json.dumps({f"member{number}": number for number in range(10_000)}).encode()
        assert site.writes(body) == 400

    def test_of_a_form_are_bounded_too(self, site: Hostile) -> None:
        form = "application/x-www-form-urlencoded"
        many = b"&".join(b"breakers=cache" for _ in range(2_000))
        own = {"Authorization": f"Bearer {OPS_TOKEN}", "Content_Type": form}
        for body in (many, b"reason=" + b"x" * 2 * MEGABYTE):
            status, said = site.sends("POST", "/api/admin/reset-circuit-breakers", body, **own)
            assert status == CUT or (status in (400, 413) and json.loads(said)["status"] == status)
            assert site.sends("POST", "/admin/login/", body, Content_Type=form)[0] in (400, 403, 413, CUT)

    def test_that_say_less_than_they_are_do_not_hold_the_site(self, site: Hostile) -> None:
        held = []
        for _ in range(8):
            slow = socket.create_connection(("127.0.0.1", site.port), timeout=AT_ONCE)
            slow.sendall(
                b"POST /api/auth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{"
            )
            held.append(slow)
        assert site.sends("GET", "/api/health/live")[0] == 200
        for slow in held:
            slow.close()


@pytest.mark.timeout(180)
class TestAddresses:
    @pytest.mark.parametrize(
        "path",
        [
            "/api/courses?search=" + "a" * 8_000,
            "/api/courses?search=" + "%28a%2B%29%2B%24" * 30,
            "/api/courses?search=%22+OR+1%3D1--",
            "/api/courses?search=" + "x+" * 60,
            "/api/courses?page=" + "9" * 4_000,
            "/api/courses?page=99999999999999999999",
            "/api/courses?page_size=1000000",
            "/api/courses?page=-1",
            "/api/courses?page=%D9%A3",
            "/api/courses?ordering=" + "title,-title," * 300,
            "/api/courses?" + "&".join(f"p{number}=1" for number in range(900)),
            "/api/courses?" + "&".join("page=1" for _ in range(900)),
            "/api/courses?search=%FF%FE%00",
            "/api/courses?%00=%00",
            "/api/courses/" + "x" * 6_000,
            "/api/courses/..%2F..%2Fetc%2Fpasswd",
            "/api/courses/%FF%00",
            "/api/courses/%C0%AE%C0%AE%2F",
            "/static/..%2f..%2fmanage.py",
            "/static/../manage.py",
            "/static/%2e%2e/%2e%2e/etc/passwd",
            "//evil.example/admin/%2e%2e",
            "/api/admin/history?span=" + "x" * 5_000,
        ],
        ids=lambda path: path[:40],
    )
    def test_are_refused_or_find_nothing(self, site: Hostile, path: str) -> None:
        status, said = site.sends("GET", path)
        found_nothing = status == 200 and json.loads(said)["results"] == []
        assert 400 <= status < 500 or found_nothing, (status, said[:200])
        assert b"import os" not in said
        assert b"root:" not in said

    def test_that_are_too_long_for_anybody_end_at_the_server(self, site: Hostile) -> None:
        for path in ("/api/courses?search=" + "a" * 200_000, "/" + "x" * 1_000_000):
            assert 400 <= site.sends("GET", path)[0] < 500
        assert site.sends("GET", "/api/health/live")[0] == 200


@pytest.mark.timeout(180)
class TestHeaders:
    BODY = b'{"title": "Never stored"}'

    @pytest.mark.parametrize(
        "key", ["", " ", "x" * 256, "x" * 20_000, "ключ".encode().decode("latin-1"), "a\tb"]
    )
    def test_a_key_that_is_none_is_refused(self, site: Hostile, key: str) -> None:
        assert site.writes(b'{"title": ""}', Idempotency_Key=key) == 400

    @pytest.mark.parametrize(
        "tag", ['"nope"', "W/" * 2_000, '"' + "9" * 5_000 + '"', ", " * 4_000, "é", '""']
    )
    def test_a_tag_that_is_none_of_ours_changes_nothing(self, site: Hostile, tag: str) -> None:
        site.writes(b'{"title": "Kept"}')
        own: dict[str, str] = {"Authorization": f"Bearer {site.token}", "If_Match": tag}
        assert site.sends("DELETE", "/api/categories/kept", None, **own)[0] == 412
        assert site.sends("GET", "/api/categories/kept", None, If_None_Match=tag)[0] == 200

    @pytest.mark.parametrize(
        "host",
        ["evil.example", "localhost@evil.example", "", "[::1", "a" * 3_000, "x\\y"],
    )
    def test_a_host_that_is_none_of_ours_is_refused(self, site: Hostile, host: str) -> None:
        for path in ("/api/courses", "/admin/login/"):
            assert site.sends("GET", path, None, Host=host)[0] == 400

    @pytest.mark.parametrize(
        "token",
        ["", "Bearer", "Bearer  ", "Bearer a b c", "Bearer " + "x" * 7_000, "Bearer é", "Bearer a.b.c"],
    )
    def test_a_token_that_is_none_is_refused(self, site: Hostile, token: str) -> None:
        own: Any = {"Content_Type": "application/json", "Authorization": token}
        assert site.sends("POST", "/api/categories", self.BODY, **own)[0] == 401

    @pytest.mark.parametrize(
        "name", ["Accept", "Accept_Language", "Cookie", "X_Request_ID", "Origin", "Range"]
    )
    def test_any_other_may_hold_anything(self, site: Hostile, name: str) -> None:
        for value in ("x" * 4_000, "é\x80", ";;,,==", "*/*;q=" + "9" * 500, "bytes=" + "0-0," * 500):
            status, _ = site.sends("GET", "/api/categories", None, **{name: value})
            assert status in (200, 400, 406, 431)
