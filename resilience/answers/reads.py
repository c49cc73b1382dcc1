"""Run the view's own code in tier after tier, until one has its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from resilience import registry
from resilience.conf import databases
from resilience.db.outages import is_outage, retry_after
from resilience.primitives import (
    Chain,
    CircuitBreaker,
    Mark,
    NoTierAnsweredError,
    Tier,
    TierUnavailableError,
)
from resilience.primitives.chain import passes
from resilience.problems import UNAVAILABLE, come_back, problem
from resilience.request.scope import current_scope, note_degraded
from resilience.tiers import conditions, fresh, generation, labels, static_copy, stored
from resilience.tiers.flight import flight
from resilience.tiers.stored import Stored

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
    the same code runs in each, so that filters, searches and pages work in all of them. The live tier alone
    takes a place in the pool `read`; writes hold `write`. Only server processes have tiers.
    """

    resilience_pools = (None, "write")  # as `@pool` says them

    # Whether an answer depends on nothing but what is asked for. Where it may depend on who asks, as here, an
    # answer for an account is stored nowhere, and none is left to caches in front.
    same_for_everybody: ClassVar[bool] = False
    # Parameters whose value, like an empty one, asks for the same as leaving them out.
    same_as_absent: ClassVar[Mapping[str, str]] = {}

    _live_stack: ExitStack | None = None  # What the live tier holds, while it runs.
    _key = ""
    _mark = Mark()
    _in_tier = False

    def read_alias(self) -> str:
        """Return the database that the view reads; while its breaker refuses, the view is not run live."""
        return DEFAULT_DB_ALIAS

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Answer a read from the first tier that can, a write from the view."""
        # OPTIONS reads nothing that a tier could hold.
        if request.method not in ("GET", "HEAD") or registry.role() != "server":
            return super().dispatch(request, *args, **kwargs)
        self._in_tier = True
        chain: Chain[HttpResponse] = Chain(
            [Tier("live", self._live), Tier("cached", self._cached), Tier("static", self._static)],
            passes=_passes,
        )
        try:
            return conditions.kept(request, chain.run(request, *args, **kwargs).value)
        except NoTierAnsweredError as error:
            return _unavailable(UNAVAILABLE, retry_after(error.__cause__ or error))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check who asks and how; then, in the live tier, look whether the answer is known already."""
        super().initial(request, *args, **kwargs)
        stack = self._live_stack
        if stack is None:
            return
        if self.same_for_everybody or not getattr(request.user, "is_authenticated", False):
            form = request.accepted_media_type or ""
            self._key = stored.key_of(request._request, self.same_as_absent, form)
            self._look_up()
        # Else the view would prepare a query that is then refused, which is most of its work.
        self._database().raise_if_refusing()
        if self._key and not stack.enter_context(flight(self._key)):
            self._look_up()
        # Before the database is asked: what is written from here on makes the answer an old one.
        self._mark = generation.current()
        stack.enter_context(registry.bulkhead("read").enter())

    def handle_exception(self, exc: Exception) -> Response:
        """Leave an outage to the chain; anything else is this answer's."""
        if self._in_tier and (isinstance(exc, _Known) or is_outage(exc)):
            raise exc
        return super().handle_exception(exc)

    def _database(self) -> CircuitBreaker:
        return registry.breaker(databases.breaker_of(self.read_alias()))

    def _look_up(self) -> None:
        found = stored.find(self._key)
        if found is not None and found.is_fresh(generation.current()):
            raise _Known(found)

    def _live(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with ExitStack() as self._live_stack:
            try:
                response = self._rendered(request, *args, **kwargs)
            except _Known as known:
                response = known.stored.response()
                self._certify(request, response)
                self._offer(response, known.stored)
                fresh.label(response, known.stored)
                return response
            finally:
                self._live_stack = None
            if response.status_code == 200:
                self._certify(request, response)
                if self._key:
                    # Within the flight, so that those who wait for this find it.
                    self._offer(response, stored.keep(self._key, response, self._mark))
        labels.label(response, "live")
        return response

    def _certify(self, request: HttpRequest, response: HttpResponse) -> None:
        labels.certify(request, response)
        if not self.same_for_everybody:
            response["Cache-Control"] = labels.PRIVATE

    def _offer(self, response: HttpResponse, kept: Stored | None) -> None:
        """Let the first middleware give it to the next who sends these words: see `fresh.remember`."""
        scope = current_scope()
        if not self.same_for_everybody or kept is None or scope is None:
            return

        def remember(request: HttpRequest, answer: HttpResponseBase) -> None:
            if answer is response:  # and none that another middleware has put in its place
                fresh.remember(request, answer, kept)

        scope.answered = remember

    def _cached(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        found = stored.find(self._key) if self._key else None
        if found is None or not found.may_stand_in(generation.current()):
            raise TierUnavailableError("nothing is stored for this")
        response = found.response()
        labels.degrade(response, "cached", found.as_of)
        note_degraded()
        return response

    def _static(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with static_copy.opened() as info:
            response = self._rendered(request, *args, **kwargs)
        if response.status_code == 404:
            return _unavailable(NOT_KNOWN, self._database().snapshot().retry_after)
        if response.status_code == 200:
            labels.degrade(response, info.tier, info.as_of)
            note_degraded()
        return response

    def _rendered(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Make the bytes now: what fails in rendering fails within the tier."""
        response = super().dispatch(request, *args, **kwargs)
        if isinstance(response, Response):
            response.render()
        return cast(HttpResponse, response)


class _Known(Exception):  # noqa: N818 - a way out of the view, no error
    def __init__(self, stored: Stored) -> None:
        super().__init__("answered already")
        self.stored = stored


def _passes(error: Exception) -> str | None:
    """Say why the next tier is asked, as the primitives do, and for any other outage of a dependency."""
    return passes(error) or (type(error).__name__ if is_outage(error) else None)


def _unavailable(detail: str, seconds: float) -> HttpResponse:
    response = problem(503, detail=detail)
    come_back(response, seconds)
    response["Cache-Control"] = "no-store"
    return response
