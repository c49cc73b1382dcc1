"""Reads: run the view's own code in one tier after the other, until one has an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, cast

from django.db import DEFAULT_DB_ALIAS, connections
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from resilience import registry
from resilience.answers.handling import Handler, HandlingView
from resilience.answers.unavailable import not_held, unavailable_for
from resilience.conf import databases
from resilience.db.outages import is_outage, retry_after
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import BulkheadFullError, CircuitBreaker, Mark, TierUnavailableError
from resilience.request.scope import current_scope, note_degraded
from resilience.tiers import catalogue_version, conditions, fresh, labels, passed_over, static_copy, stored
from resilience.tiers.flight import flight
from resilience.tiers.stored import Stored

Run = Callable[[], HttpResponse]


@dataclass(slots=True)
class Lookup:
    """What one read has found out so far, and what it holds: made in `dispatch`, given to each tier."""

    key: str = ""  # the key of its stored answer; "" if it must not be stored
    mark: Mark = field(default_factory=Mark)  # the state of the catalogue before the database was asked
    found: Stored | None = None  # a stored answer that stands for the live one
    held: ExitStack | None = None  # what the live tier holds until the answer is stored; None in stand-ins
    place: ExitStack = field(default_factory=ExitStack)  # what it holds until the answer is made
    passed: list[tuple[str, str]] = field(default_factory=list)  # each tier that had no answer, and why


class ResilientReads(HandlingView):
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

    def read_alias(self) -> str:
        """Return the alias of the database that the view reads; its breaker decides whether it runs live."""
        return DEFAULT_DB_ALIAS

    def address_of(self, request: HttpRequest) -> str:
        """Return the path in one spelling for all that the view takes for the same: they share an answer."""
        return stored.address_of(request)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Answer a read from the first tier that can, a write from the view."""
        # OPTIONS reads nothing from a tier.
        if request.method not in ("GET", "HEAD") or not registry.is_server():
            return super().dispatch(request, *args, **kwargs)
        if not registry.enforces():
            with registry.bulkhead("read").enter():  # only to see whether there would be a place
                return super().dispatch(request, *args, **kwargs)
        self.lookup = lookup = Lookup()
        run = partial(self._rendered, request, *args, **kwargs)
        seconds = 0.0
        for name, tier in (("live", self._live), ("cached", self._cached), ("static", self._static)):
            try:
                response = tier(request, lookup, run)
                break
            except Exception as error:
                if (reason := passed_over.reason_of(error)) is None:
                    raise  # this error is the answer; the next tier would only hide it
                if not lookup.passed:
                    seconds = retry_after(error)
                passed_over.note(name, reason, error)
                lookup.passed.append((name, reason))
        else:
            response = unavailable_for(seconds, labels.why(lookup.passed))
            labels.miss(response, lookup.passed)
        return conditions.kept(request, response)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check who asks and how; then, in the live tier, look for a stored answer."""
        super().initial(request, *args, **kwargs)
        lookup = self.lookup
        if lookup is None or lookup.held is None:
            return
        if self.same_for_everybody or not getattr(request.user, "is_authenticated", False):
            form = request.accepted_media_type or ""
            address = self.address_of(request._request)
            lookup.key = stored.key_of(request._request, self.same_as_absent, form, address)
            lookup.found = stored.find_fresh(lookup.key)
        if lookup.found is None:
            # Else the view would prepare a query, which is most of its work, only to be refused.
            look = self._database().raise_if_refusing
            look()
            if lookup.key and not lookup.held.enter_context(flight(lookup.key, look)):
                lookup.found = stored.find_fresh(lookup.key)
        if lookup.found is None:
            self._take_place(lookup, known=getattr(request.user, "is_authenticated", False))
        if lookup.found is None:
            # Read before the database is asked: any write from here on makes the answer an old one.
            lookup.mark = catalogue_version.current()

    def _take_place(self, lookup: Lookup, *, known: bool) -> None:
        """Take a place in the pool `read`. `known` are those who are signed in; they go first.

        Those who had to wait, or find no place, look again for an answer that somebody has stored meanwhile.
        """
        place = registry.bulkhead("read").enter(first=known, look=self._database().raise_if_refusing)
        try:
            has_waited = lookup.place.enter_context(place)
        except BulkheadFullError:
            lookup.found = stored.find_fresh(lookup.key) if lookup.key else None
            if lookup.found is None:
                raise
        else:
            if isinstance(database := connections[self.read_alias()], GuardedWrapper):
                # Before the place: else its next holder would find no kept connection, and make one.
                lookup.place.callback(database.give_back)
            if has_waited and lookup.key:
                lookup.found = stored.find_fresh(lookup.key)

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

    def _database(self) -> CircuitBreaker:
        return registry.breaker(databases.breaker_of(self.read_alias()))

    # --- The tiers. Each returns its whole answer, or raises the reason why it has none. ---

    def _live(self, request: HttpRequest, lookup: Lookup, run: Run) -> HttpResponse:
        with ExitStack() as lookup.held:
            try:
                with lookup.place:  # given back before the answer is stored, since a cache may be slow
                    response = run()
            finally:
                lookup.held = None
            if response.status_code == 200:
                labels.certify(request, response)
                if not self.same_for_everybody:
                    response["Cache-Control"] = labels.PRIVATE
                kept = lookup.found
                if kept is None and lookup.key:
                    # Within the flight, so that the requests that wait for it find it.
                    kept = stored.keep(lookup.key, response, lookup.mark)
                self._offer(response, kept)
                if lookup.found is not None:
                    fresh.label(response, lookup.found)
                    return response
        labels.label(response, "live")
        return response

    def _cached(self, request: HttpRequest, lookup: Lookup, run: Run) -> HttpResponse:
        found = stored.find(lookup.key) if lookup.key else None
        if found is None:
            raise TierUnavailableError("nothing is stored for this")
        if not found.may_stand_in(catalogue_version.current()):
            raise TierUnavailableError("what is stored for this is too old", reason="stale")
        response = found.response()
        labels.degrade(response, "cached", found.as_of, passed=lookup.passed)
        note_degraded()
        return response

    def _static(self, request: HttpRequest, lookup: Lookup, run: Run) -> HttpResponse:
        with static_copy.turn(), static_copy.opened() as info:
            response = run()
        if response.status_code == 404:
            passed_over.note("static", "missing", "the copy does not hold what was asked for")
            response = not_held(self._database().snapshot().retry_after, labels.why(lookup.passed))
            labels.miss(response, [*lookup.passed, ("static", "missing")])
        elif response.status_code == 200:
            labels.degrade(response, info.tier, info.as_of, passed=lookup.passed)
            note_degraded()
        return response

    def _offer(self, response: HttpResponse, kept: Stored | None) -> None:
        """Let the first middleware repeat this answer to the same request: see `fresh.remember`."""
        scope = current_scope()
        if kept is None or scope is None or not self.same_for_everybody:
            return

        def remember(request: HttpRequest, answer: HttpResponseBase) -> None:
            if answer is response:  # no other middleware has replaced it
                fresh.remember(request, answer, kept)

        scope.answered = remember

    def _rendered(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Render now, so that a failure in rendering happens within the tier."""
        response = super().dispatch(request, *args, **kwargs)
        if isinstance(response, Response):
            response.render()
        return cast(HttpResponse, response)
