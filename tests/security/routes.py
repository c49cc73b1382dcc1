"""Every address that the site's resolver knows, and that of metrics, which the middleware answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from django.conf import settings
from django.contrib.admindocs.views import simplify_regex
from django.urls import URLPattern, URLResolver, get_resolver

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


def routes() -> list[str]:
    """Return all addresses as people write them, parameters in angle brackets; with a name or without."""
    found = [simplify_regex(raw) for raw in _walk(get_resolver().url_patterns, "")]
    return [*found, settings.RESILIENCE["METRICS_PATH"]]


def filled(route: str, examples: Mapping[str, Mapping[str, str]]) -> str:
    """Return an address of this route; `examples` give the parameters by how a route begins."""
    begins = max((start for start in examples if route.startswith(start)), key=len, default="")
    return _PARAMETER.sub(lambda found: examples[begins][found[1]], route)


def _walk(patterns: Iterable[URLPattern | URLResolver], before: str) -> Iterator[str]:
    for each in patterns:
        raw = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _walk(each.url_patterns, raw)
        else:
            yield raw
