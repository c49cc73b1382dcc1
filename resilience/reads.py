"""Stop 2 of a read: run the view's own code in tier after tier, until one has its bytes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

from django.http import HttpRequest, HttpResponse
from rest_framework.response import Response
from rest_framework.views import APIView

from resilience import registry
from resilience.outages import is_outage, retry_after
from resilience.primitives import Chain, NoTierAnsweredError, Tier
from resilience.primitives.chain import passes
from resilience.problems import UNAVAILABLE, problem
from resilience.scope import is_read
from resilience.tiers import labels, static

if TYPE_CHECKING:
    _View = APIView
else:
    _View = object

NOT_KNOWN = (
    "The database is not available at the moment, and the copy that answers instead does not hold this. "
    "It may exist. Please try again shortly."
)


class ResilientReads(_View):
    """Mix in before a DRF view: its reads come from the live database, else from what stands in for it.

    Authentication, the view and rendering all lie inside a tier, so that what fails late is answered too, and
    the same code runs in each, so that filters, searches and pages work in all of them. The view is marked
    `@pool(None, …)`: the live tier alone takes a place in `read`. Only server processes have tiers.
    """

    _in_tier = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Answer a read from the first tier that can, a write from the view."""
        if not is_read(request) or registry.role() != "server":
            return super().dispatch(request, *args, **kwargs)
        self._in_tier = True
        chain: Chain[HttpResponse] = Chain(
            [Tier("live", self._live), Tier("static", self._static)], passes=_passes
        )
        try:
            return labels.conditional(request, chain.run(request, *args, **kwargs).value)
        except NoTierAnsweredError as error:
            return _unavailable(UNAVAILABLE, retry_after(error.__cause__ or error))

    def handle_exception(self, exc: Exception) -> Response:
        """Leave an outage to the chain; anything else is this answer's."""
        if self._in_tier and is_outage(exc):
            raise exc
        return super().handle_exception(exc)

    def _live(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with registry.bulkhead("read").enter():
            response = self._rendered(request, *args, **kwargs)
        if response.status_code == 200:
            labels.certify(request, response)
        labels.label(response, "live")
        return response

    def _static(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with static.opened() as info:
            response = self._rendered(request, *args, **kwargs)
        if response.status_code == 404:
            return _unavailable(NOT_KNOWN, registry.breaker("database").snapshot().retry_after)
        if response.status_code == 200:
            labels.degrade(response, info.tier, info.as_of)
        return response

    def _rendered(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Make the bytes now: what fails in rendering fails within the tier."""
        response = super().dispatch(request, *args, **kwargs)
        if isinstance(response, Response):
            response.render()
        return cast(HttpResponse, response)


def _passes(error: Exception) -> str | None:
    """Say why the next tier is asked, as the primitives do, and for any other outage of a dependency."""
    return passes(error) or (type(error).__name__ if is_outage(error) else None)


def _unavailable(detail: str, seconds: float) -> HttpResponse:
    response = problem(503, detail=detail)
    response["Retry-After"] = str(max(1, math.ceil(seconds)))
    response["Cache-Control"] = "no-store"
    return response
