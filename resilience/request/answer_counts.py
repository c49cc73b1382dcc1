"""Count each answer once, by its source."""

from __future__ import annotations

from django.http.response import HttpResponseBase

from resilience import registry
from resilience.request.response_headers import DATA_SOURCE

# The tiers; then answers of no tier (pages, writes, clients' errors), refusals (503) and other 5xx.
TIERS = ("fresh", "live", "cached", "static", "mock")
SOURCES = (*TIERS, "other", "refused", "failed")
FALLBACKS = ("cached", "static", "mock")
UNANSWERED = ("refused", "failed")


def count(response: HttpResponseBase, *, degraded: bool) -> None:
    """Count an answer in the host's store, as ("responses", source)."""
    registry.store().counters.add("responses", source(response, degraded=degraded))


def source(response: HttpResponseBase, *, degraded: bool) -> str:
    """Return one of `SOURCES`: by status, then by `X-Data-Source`."""
    if response.status_code >= 500:
        return "refused" if response.status_code == 503 else "failed"
    tier = response.headers.get(DATA_SOURCE)
    if tier == "cached" and not degraded:
        return "fresh"
    return tier if tier in TIERS else "other"
