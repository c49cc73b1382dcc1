"""A charset that is none ends no request, under WSGI and ASGI; see also `test_request_bodies`."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync

from zenow.charsets import known, known_to_asgi, known_to_wsgi

NONE = [
    *("hex", "rot13", "idna", "punycode", "zlib", "undefined", "no-such-name", ""),
    *("unicode_escape", "raw-unicode-escape", "utf-7"),  # They make halves of surrogate pairs.
]


@pytest.mark.parametrize("charset", NONE)
def test_is_taken_out(charset: str) -> None:
    assert known(f"text/plain; charset={charset}") == "text/plain"
    assert known(f'text/plain;CHARSET = "{charset}"; a=b') == "text/plain; a=b"
    assert known(f"text/plain; charset=utf-8; charset={charset}") == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "text/plain; charset=utf-16", 'a/b; charset="utf-8"; c=d']
)
def test_of_another_kind_stays(kind: str) -> None:
    assert known(kind) == kind


def test_in_the_environ_of_wsgi() -> None:
    seen: list[Any] = []
    app = known_to_wsgi(lambda environ, _: seen.append(environ) or [])  # type: ignore[func-returns-value]
    app({"CONTENT_TYPE": "a/b; charset=hex"}, lambda *_: None)
    app({}, lambda *_: None)
    assert seen == [{"CONTENT_TYPE": "a/b"}, {}]


def test_in_the_headers_of_asgi() -> None:
    seen: list[Any] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.append(scope)

    kind, host = (b"content-type", b"a/b; charset=hex"), (b"host", b"a; charset=hex")
    async_to_sync(known_to_asgi(app))({"type": "http", "headers": [kind, host]}, None, None)
    assert seen == [{"type": "http", "headers": [(b"content-type", b"a/b"), host]}]
