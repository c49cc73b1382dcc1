"""The notice of a degraded page: a mark in its bytes, which is filled when the page is given out.

A stored page holds the mark alone. So it can be given out as a live one, without a notice, and in an outage
with the notice that is true then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpResponse
from django.utils.html import format_html

MARK = "<!--resilience: degradation-->"

_marks: ContextVar[bool] = ContextVar("resilience_marks", default=False)


@contextmanager
def marking() -> Iterator[None]:
    """Let `{% degradation %}` leave its mark within the block. Elsewhere it leaves nothing."""
    token = _marks.set(True)
    try:
        yield
    finally:
        _marks.reset(token)


def mark() -> str:
    """Return the mark, or nothing where nobody would fill it."""
    return MARK if _marks.get() else ""


def takes(response: HttpResponse) -> bool:
    """Tell whether a mark in it would be one: it is HTML, and its bytes are not encoded once more."""
    return response.get("Content-Type", "").startswith(
        ("text/html", "application/xhtml+xml")
    ) and not response.has_header("Content-Encoding")


def fill(response: HttpResponse, said: dict[str, str] | None = None) -> None:
    """Replace each mark of a page by the notice `said`; without it, by nothing.

    `said` has `source`, `reason`, `as_of` and `notice`, as the member `degradation` of JSON has them.
    """
    if not takes(response):
        return
    wanted = MARK.encode(response.charset)
    if wanted not in response.content:
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
