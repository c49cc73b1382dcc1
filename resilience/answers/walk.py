"""The walk of a read through the tiers: what views of every kind have in common, without a framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from django.db import DEFAULT_DB_ALIAS, connections
from django.http import HttpRequest, HttpResponse

from resilience import registry
from resilience.answers.unavailable import not_held, unavailable_for
from resilience.conf import databases
from resilience.db.outages import retry_after
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import BulkheadFullError, CircuitBreaker, Mark, TierUnavailableError
from resilience.request.response_headers import Reason
from resilience.request.scope import note_degraded
from resilience.tiers import catalogue_version, conditions, fresh, labels, passed_over, static_copy, stored
from resilience.tiers.flight import flight
from resilience.tiers.stored import Stored

Run = Callable[[], HttpResponse]


@dataclass(slots=True)
class Lookup:
    """What one read has found out so far, and what it holds: made for each read, given to each tier."""

    key: str = ""  # the key of its stored answer; "" if it must not be stored
    mark: Mark = field(default_factory=Mark)  # the state of the catalogue before the database was asked
    found: Stored | None = None  # a stored answer that stands for the live one
    held: ExitStack | None = None  # what the live tier holds until the answer is stored; None in stand-ins
    place: ExitStack = field(default_factory=ExitStack)  # what it holds until the answer is made
    passed: list[tuple[str, str]] = field(default_factory=list)  # each tier that had no answer, and why


Tier = Callable[[HttpRequest, Lookup, Run], HttpResponse]


class TierWalk:
    """Answer a read from the first tier that can: live, cached, static.

    `_walk` is given `run`, which calls the view and renders its answer. In the live tier `run` begins with
    `_look_up`, once it is known who asks.
    """

    def read_alias(self) -> str:
        """Return the alias of the database that the view reads; its breaker decides whether it runs live."""
        return DEFAULT_DB_ALIAS

    def _walk(self, request: HttpRequest, lookup: Lookup, run: Run) -> HttpResponse:
        """Return the answer of the first tier that has one, else a 503."""
        seconds = 0.0
        for name, tier in self._tiers():
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
            why = labels.why(lookup.passed)
            response = self._refused(request, unavailable_for(seconds, why), why)
            labels.miss(response, lookup.passed)
        return conditions.kept(request, response)

    def _tiers(self) -> Iterator[tuple[str, Tier]]:
        """Yield the tiers in their order, by name."""
        yield "live", self._live
        yield "cached", self._cached
        yield "static", self._static

    def _settle(self, request: HttpRequest, response: HttpResponse, lookup: Lookup) -> None:
        """Finish a live 200: store it, if it may be."""
        raise NotImplementedError

    def _refused(self, request: HttpRequest, response: HttpResponse, why: Reason) -> HttpResponse:
        """Return the 503 in the form that the view's clients read; as it is given, it is a problem."""
        return response

    def _look_up(self, lookup: Lookup, *, known: bool, together: bool = True) -> None:
        """Look for a stored answer under the key; else take what the view needs to ask the database.

        `known` are those who are signed in: they go first. With `together`, requests of one key wait for the
        first of them. Raises what the breaker or the pool refuses with.
        """
        if lookup.key:
            lookup.found = stored.find_fresh(lookup.key)
        if lookup.found is None:
            # Else the view would prepare a query, which is most of its work, only to be refused.
            look = self._database().raise_if_refusing
            look()
            held = lookup.held if lookup.key and together else None
            if held is not None and not held.enter_context(flight(lookup.key, look)):
                lookup.found = stored.find_fresh(lookup.key)
        if lookup.found is None:
            self._take_place(lookup, known=known)
        if lookup.found is None:
            # Read before the database is asked: any write from here on makes the answer an old one.
            lookup.mark = catalogue_version.current()

    def _database(self) -> CircuitBreaker:
        """Return the breaker of the database that the view reads."""
        return registry.breaker(databases.breaker_of(self.read_alias()))

    def _take_place(self, lookup: Lookup, *, known: bool) -> None:
        """Take a place in the pool `read`.

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

    # --- The tiers. Each returns its whole answer, or raises the reason why it has none. ---

    def _live(self, request: HttpRequest, lookup: Lookup, run: Run) -> HttpResponse:
        with ExitStack() as lookup.held:
            try:
                with lookup.place:  # given back before the answer is stored, since a cache may be slow
                    response = run()
            finally:
                lookup.held = None
            if response.status_code == 200:
                # Within the flight, so that the requests that wait for it find it.
                self._settle(request, response, lookup)
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
            why = labels.why(lookup.passed)
            response = self._refused(request, not_held(self._database().snapshot().retry_after, why), why)
            labels.miss(response, [*lookup.passed, ("static", "missing")])
        elif response.status_code == 200:
            labels.degrade(response, info.tier, info.as_of, passed=lookup.passed)
            note_degraded()
        return response
