"""One request and its answer, from whichever client they went through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its answer. Names of headers are in lower case, the path is decoded."""

    method: str
    path: str
    query: str
    sent: bytes
    sent_as: str
    """The media type of what was sent."""
    status: int
    headers: Mapping[str, list[str]]
    body: bytes

    @classmethod
    def on_the_wire(
        cls,
        method: str,
        target: str,
        sent: str | bytes,
        asked: Mapping[str, str],
        status: int,
        headers: Iterable[tuple[str, str]],
        body: str | bytes,
    ) -> Self:
        """Return an exchange over HTTP: `target` is as in the request line, `asked` the request's headers."""
        parts = urlsplit(target)
        sent_as = next((value for name, value in asked.items() if name.lower() == "content-type"), "")
        return cls(
            method=method.upper(),
            path=unquote(parts.path),
            query=parts.query,
            sent=_bytes(sent),
            sent_as=sent_as.partition(";")[0].strip().lower(),
            status=status,
            headers=_by_name(headers),
            body=_bytes(body),
        )

    @classmethod
    def of_test_client(cls, sent: str | bytes, response: Any) -> Self:
        """Return an exchange of Django's test client. The body of a stream is left to whoever reads it."""
        request = response.wsgi_request if hasattr(response, "wsgi_request") else response.asgi_request
        return cls(
            method=request.method,
            path=request.path,
            query=request.META.get("QUERY_STRING", ""),
            sent=_bytes(sent),
            sent_as=request.content_type or "",
            status=response.status_code,
            headers=_by_name(response.items()),
            body=b"" if response.streaming else response.content,
        )

    @property
    def source(self) -> str:
        """The tier of the answer, as it says."""
        return ", ".join(self.headers.get("x-data-source", ["-"]))

    @property
    def content_type(self) -> str:
        """The media type of the answer, without parameters."""
        return ", ".join(self.headers.get("content-type", [""])).partition(";")[0].strip().lower()

    def __str__(self) -> str:
        asked = f"{self.method} {self.path}{'?' if self.query else ''}{self.query}"
        return f"{asked[:300]} -> {self.status} {self.source}"


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _by_name(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return found
