"""The notice of a degraded page: a mark in its bytes, which is filled when the page is given out.

A stored page holds the mark alone. So it can be given out as a live one, without a notice, and in an outage
with the notice that is true then.

Each rendering has a mark of its own, which is drawn at random: what a reader has written into a page cannot
be taken for the mark.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpResponse
from django.utils.html import format_html

ATTRIBUTE = "_resilience_mark"  # of a response: the mark of its page
_mark: ContextVar[str] = ContextVar("resilience_mark", default="")


@contextmanager
def marking() -> Iterator[None]:
    """Let `{% degradation %}` leave a mark within the block. Elsewhere it leaves nothing."""
    token = _mark.set(f"<!--resilience: {secrets.token_hex(16)}-->")
    try:
        yield
    finally:
        _mark.reset(token)


def mark() -> str:
    """Return the mark, or nothing where nobody would fill it."""
    return _mark.get()


def put(response: HttpResponse, wanted: str) -> HttpResponse:
    """Say on a response which mark its page has, and return it."""
    setattr(response, ATTRIBUTE, wanted)
    return response


def of(response: HttpResponse) -> str:
    """Return the mark that the page of a response has; "" if none was said."""
    return str(getattr(response, ATTRIBUTE, ""))


def takes(response: HttpResponse) -> bool:
    """Tell whether a mark in it would be one: it is HTML, and its bytes are not encoded once more."""
    return response.get("Content-Type", "").startswith(
        ("text/html", "application/xhtml+xml")
    ) and not response.has_header("Content-Encoding")


def fill(response: HttpResponse, said: dict[str, str] | None = None) -> None:
    """Replace each mark of a page by the notice `said`; without it, by nothing.

    `said` has `source`, `reason`, `as_of` and `notice`, as the member `degradation` of JSON has them.
    """
    wanted = of(response).encode(response.charset)
    if not wanted or not takes(response) or wanted not in response.content:
        return
    response.content = response.content.replace(wanted, _as_html(said).encode(response.charset))
    if response.has_header("Content-Length"):
        response["Content-Length"] = str(len(response.content))


def _as_html(said: dict[str, str] | None) -> str:
    if said is None:
        return ""
    return format_html(
        '<p class="resilience-degradation" role="status" data-source="{source}" data-reason="{reason}">'
        '{notice} <time datetime="{as_of}">{as_of}</time></p>',
        **said,
    )
