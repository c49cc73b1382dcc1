"""Reads: run the view's own code in one tier after the other, until one has an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, cast

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from resilience import registry
from resilience.answers import transactions
from resilience.answers.handling import Handler, HandlingView
from resilience.answers.walk import Lookup, TierWalk
from resilience.db.outages import is_outage
from resilience.request.scope import current_scope
from resilience.tiers import fresh, labels, stored
from resilience.tiers.stored import Stored


class ResilientReads(TierWalk, HandlingView):
    """Mix in before a DRF view: its reads come from the live database, else from a stand-in.

    Authentication, the view and rendering all run inside a tier. So a failure in any of them is answered by
    the next tier, and filters, searches and pages work in each. The live tier alone takes a place in the pool
    `read`; a write takes one in `write`. Only server processes have tiers.
    """

    resilience_pools = (None, "write")  # as `@pool` sets them

    # Whether everybody gets the same answer. If not, an answer to an account is not stored, and caches in
    # front may not keep any answer.
    same_for_everybody: ClassVar[bool] = False
    # Parameters that mean nothing with this value or an empty one: the request asks for the same without
    # them.
    same_as_absent: ClassVar[Mapping[str, str]] = {}

    # The read at hand; None for a write. It is an attribute because DRF calls `initial` and `handle`, and
    # passes nothing on to them.
    lookup: Lookup | None = None

    @classmethod
    def as_view(cls, *args: Any, **initial: Any) -> Any:
        """As DRF's. The transaction that `ATOMIC_REQUESTS` asks for is begun within the live tier."""
        view = super().as_view(*args, **initial)
        transactions.take_out(view)
        return view

    def address_of(self, request: HttpRequest) -> str:
        """Return the path in one spelling for all that the view takes for the same: they share an answer."""
        return stored.address_of(request)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Answer a read from the first tier that can, a write from the view."""
        live = self._within_transactions()
        # OPTIONS reads nothing from a tier.
        if request.method not in ("GET", "HEAD") or not registry.is_server():
            return live(request, *args, **kwargs)
        if not registry.enforces():
            with registry.bulkhead("read").enter():  # only to see whether there would be a place
                return live(request, *args, **kwargs)
        self.lookup = lookup = Lookup()
        run = partial(self._rendered, request, *args, **kwargs)
        return self._walk(request, lookup, run)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check who asks and how; then, in the live tier, look for a stored answer."""
        super().initial(request, *args, **kwargs)
        lookup = self.lookup
        if lookup is None or lookup.held is None:
            return
        known = getattr(request.user, "is_authenticated", False)
        if self.same_for_everybody or not known:
            form = request.accepted_media_type or ""
            address = self.address_of(request._request)
            lookup.key = stored.key_of(request._request, self.same_as_absent, form, address)
        self._look_up(lookup, known=known)

    def handle(self, handler: Handler, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Return the stored answer if one was found, else that of the handler."""
        if self.lookup is not None and self.lookup.held is not None and self.lookup.found is not None:
            return self.lookup.found.response()
        return super().handle(handler, request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        """Leave an outage to the next tier; answer any other error here."""
        if self.lookup is not None and is_outage(exc):
            raise exc
        return super().handle_exception(exc)

    def _settle(self, request: HttpRequest, response: HttpResponse, lookup: Lookup) -> None:
        """Give a live answer its tag, say who may keep it, and store it under its meaning."""
        labels.certify(request, response)
        if not self.same_for_everybody:
            response["Cache-Control"] = labels.PRIVATE
        kept = lookup.found
        if kept is None and lookup.key:
            kept = stored.keep(lookup.key, response, lookup.mark)
        self._offer(response, kept)

    def _offer(self, response: HttpResponse, kept: Stored | None) -> None:
        """Let the first middleware repeat this answer to the same request: see `fresh.remember`."""
        scope = current_scope()
        if kept is None or scope is None or not self.same_for_everybody:
            return

        def remember(request: HttpRequest, answer: HttpResponseBase) -> None:
            if answer is response:  # no other middleware has replaced it
                fresh.remember(request, answer, kept)

        scope.answered = remember

    def _within_transactions(self) -> Callable[..., Any]:
        out = getattr(type(self).dispatch, "_non_atomic_requests", ())
        return transactions.as_set(super().dispatch, out)

    def _rendered(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Render now, so that a failure in rendering happens within the tier."""
        of_copy = self.lookup is not None and self.lookup.held is None
        dispatch = super().dispatch if of_copy else self._within_transactions()
        response = dispatch(request, *args, **kwargs)
        if isinstance(response, Response):
            response.render()
        return cast(HttpResponse, response)
