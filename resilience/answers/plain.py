"""One read of a plain view: run the view in a tier, and find out whether others may get its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, cast

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse
from django.utils.cache import patch_vary_headers

from resilience import registry
from resilience.answers import keys, transactions, unavailable
from resilience.answers.stand_in import anonymous, is_stand_in, leave_no_trace
from resilience.answers.walk import Lookup, Tier, TierWalk
from resilience.answers.watching import Watch, is_watched, watching
from resilience.db.touched import Touched, noting_rows
from resilience.primitives import TierUnavailableError
from resilience.request.response_headers import Reason
from resilience.tiers import not_stored, notice, stored
from resilience.tiers.static_copy.declared import declared

_PRIVATE = ("private", "no-store", "no-cache")


class Plain:
    """Hold what is true of one view: how to call it, and what its answers depend on."""

    def __init__(
        self,
        view: Callable[..., Any],
        *,
        same_for_everybody: bool,
        by_headers: frozenset[str],
        read_alias: str,
    ) -> None:
        self.view = view
        named = getattr(view, "view_class", view)
        self.identity = keys.identity_of(view)
        self.name = f"{view.__module__}.{getattr(named, '__qualname__', type(view).__name__)}"
        self.same_for_everybody = same_for_everybody
        self.by_headers = by_headers
        self.read_alias = read_alias
        self.is_async = iscoroutinefunction(view)
        self.call: Callable[..., Any] = async_to_sync(view) if self.is_async else view
        self.out: frozenset[str] = frozenset()  # aliases that the view itself takes out of ATOMIC_REQUESTS
        # Whether its last answer was stored: of one that is not, others need not wait for the first.
        self.stores = True

    def has_tiers(self, request: HttpRequest) -> bool:
        """Tell whether this request is a read in a process that serves."""
        return request.method in ("GET", "HEAD") and registry.is_server()

    def is_part(self, request: HttpRequest) -> bool:
        """Tell whether another resilient view is being answered, of which this one gives a part.

        Raise `TierUnavailableError` if that is a stand-in, and this view's answers are not everybody's.
        """
        if is_stand_in(request) and not self.same_for_everybody:
            raise TierUnavailableError(f"a part of it, {self.name}, is not the same for everybody")
        return is_watched(request)

    def answer(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Answer a read from the first tier that can, all else from the view."""
        if self.is_part(request):
            return self.call(request, *args, **kwargs)
        live = transactions.as_set(self.call, self.out)
        if not self.has_tiers(request):
            return live(request, *args, **kwargs)
        if not registry.enforces():
            with registry.bulkhead("read").enter():  # only to see whether there would be a place
                return live(request, *args, **kwargs)
        return PlainRead(self, live, request, args, kwargs).answer()


class PlainRead(TierWalk):
    """One read of a plain view."""

    def __init__(
        self,
        plain: Plain,
        live: Callable[..., Any],
        request: HttpRequest,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        self._plain = plain
        self._run_live = live
        self._request = request
        self._arguments = (args, kwargs)
        self._lookup = Lookup()
        self._why_not: tuple[str, str] | None = None  # why the answer is not stored, and what says so
        self._before = (dict(vars(request)), dict(request.META))

    def read_alias(self) -> str:
        """Return the database that the view reads."""
        return self._plain.read_alias

    def answer(self) -> HttpResponse:
        """Return the answer of the first tier that has one."""
        with notice.marking():
            response = self._walk(self._request, self._lookup, self._run)
        if self._lookup.passed:
            self._as_before()
            leave_no_trace(self._request)
        elif not response.streaming:
            notice.fill(response)
        return response

    def _tiers(self) -> Iterator[tuple[str, Tier]]:
        tiers = super()._tiers()
        return tiers if self._plain.same_for_everybody else iter([next(tiers)])

    def _run(self) -> HttpResponse:
        return self._in_copy() if self._lookup.held is None else self._now()

    def _now(self) -> HttpResponse:
        """Return a stored answer that is current, else that of the view; note what it depends on."""
        args, kwargs = self._arguments
        plain, request, lookup = self._plain, self._request, self._lookup
        key = ""
        try:
            if plain.same_for_everybody:
                key = keys.key_of(plain.identity, request, args, kwargs, plain.by_headers)
        except keys.NoKeyError as error:
            self._why_not = error.reason, error.what
        with watching(request, plain.by_headers) as watch:
            # Known before the view is called: then its answer may be one for this client.
            lookup.key = "" if watch.found else key
            try:
                self._look_up(lookup, known=False, together=plain.stores)
            finally:
                lookup.key = key
            if lookup.found is not None:
                return lookup.found.response()
            with noting_rows() as touched:
                response = _rendered(self._run_live(request, *args, **kwargs))
        self._why_not = self._why_not or self._cannot_be_stored(response, watch, touched)
        return response

    def _cannot_be_stored(
        self, response: HttpResponse, watch: Watch, touched: Touched
    ) -> tuple[str, str] | None:
        return (
            next(iter(watch.found.items()), None)
            or _private_in(response, self._plain.by_headers)
            or (("wrote", touched.write) if touched.write else None)
            or _unheard_of(touched.models)
        )

    def _settle(self, request: HttpRequest, response: HttpResponse, lookup: Lookup) -> None:
        if lookup.found is not None or not self._plain.same_for_everybody:
            return
        if self._plain.by_headers:
            patch_vary_headers(response, sorted(self._plain.by_headers))
        self._plain.stores = self._why_not is None
        if self._why_not is not None:
            not_stored.note(self._plain.name, *self._why_not)
        elif request.method == "GET":
            stored.keep(lookup.key, response, lookup.mark, known=self._plain.by_headers)

    def _in_copy(self) -> HttpResponse:
        """Return what the view answers to nobody; raise `TierUnavailableError` for what is not nobody's."""
        self._as_before()
        args, kwargs = self._arguments
        nobody = anonymous(self._request)
        try:
            with watching(nobody, self._plain.by_headers, earlier=False) as watch:
                response = _rendered(self._plain.call(nobody, *args, **kwargs))
        except Http404:
            return HttpResponse(status=404)
        except PermissionDenied as error:
            raise TierUnavailableError("the view refuses it to nobody") from error
        if response.streaming:
            response.close()
            raise TierUnavailableError("a streamed answer would be read outside of the static copy")
        of_account = response.status_code != 200 and not watch.found.keys().isdisjoint(("account", "session"))
        if response.status_code in (401, 403) or of_account:
            raise TierUnavailableError("the view answers only those who are signed in")
        response.cookies.clear()
        del response["Set-Cookie"]
        return response

    def _as_before(self) -> None:
        """Undo what the failed live attempt has set on the request."""
        own, meta = self._before
        vars(self._request).clear()
        vars(self._request).update(own)
        self._request.META.clear()
        self._request.META.update(meta)

    def _refused(self, request: HttpRequest, response: HttpResponse, why: Reason) -> HttpResponse:
        return unavailable.for_people(request, response, busy=why == "busy")


def _rendered(response: Any) -> HttpResponse:
    """Render now, so that a failure in rendering happens within the tier."""
    if isinstance(response, SimpleTemplateResponse):
        response = response.render()
    return notice.put(cast(HttpResponse, response), notice.mark())


def _private_in(response: HttpResponse, by_headers: frozenset[str]) -> tuple[str, str] | None:
    """Return the reason in an answer for which it is not everybody's."""
    if response.streaming:
        return "streaming", type(response).__name__
    if stored.sets_cookie(response):
        return "sets_cookie", ", ".join(response.cookies) or "a header of its own"
    says = response.get("Cache-Control", "").lower()
    if any(word in says for word in _PRIVATE):
        return "cache_control", says
    varies = {name.strip().lower() for name in response.get("Vary", "").split(",")} - {"", *by_headers}
    if varies - {"accept-encoding"}:
        return "vary", ", ".join(sorted(varies))
    if response.has_header("Content-Encoding") and "accept-encoding" not in by_headers:
        return "encoding", response["Content-Encoding"]
    others = vars(response).keys() - _of_responses()
    return ("response_attribute", ", ".join(sorted(others))) if others else None


@cache
def _of_responses() -> frozenset[str]:
    """Return the attributes of responses as Django makes them; others are for middleware around the view."""
    usual = vars(HttpResponse()).keys() | vars(SimpleTemplateResponse("")).keys()
    return frozenset({*usual, "status_code", "_container", "_request", notice.ATTRIBUTE})


def _unheard_of(models: set[type[Any]]) -> tuple[str, str] | None:
    """Return the models that were read, and whose changes nobody hears of, as a reason."""
    if not models:
        return None
    try:
        heard = set(declared().models)
    except TierUnavailableError:
        heard = set()
    others = sorted(model._meta.label for model in models - heard)
    return ("model", ", ".join(others)) if others else None
