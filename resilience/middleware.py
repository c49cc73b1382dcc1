"""The first middleware: liveness, fresh answers, the request's scope, headers, the last 503."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.handlers.asgi import ASGIRequest
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from resilience import conf, registry, steward
from resilience.alerts import reports
from resilience.answers import bodies, early, unavailable
from resilience.db.outages import is_outage
from resilience.observe import health
from resilience.operate.views import metrics_view
from resilience.primitives import RejectedError
from resilience.request import answer_counts, shed
from resilience.request.request_id import name_of
from resilience.request.response_headers import OF_BREAKERS, REQUEST_ID, SYSTEM_DEGRADED
from resilience.request.scope import (
    RequestScope,
    current_scope,
    is_read,
    pool_of,
)
from resilience.tiers import conditions, fresh

logger = logging.getLogger("resilience.middleware")


class ResilienceMiddleware:
    """Give every request a scope and every response its headers; turn an uncaught outage into a 503.

    It must be the first middleware. Then liveness, readiness and metrics are answered before the checks of
    host and scheme: a kubelet and Prometheus call by address and in plain HTTP. And an answer or an error of
    other middleware gets the headers too.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)
            self._call: Callable[[HttpRequest], Any] = self._answer_async
        else:
            self._call = self._answer
        got_request_exception.connect(_remember_outage, dispatch_uid="resilience.middleware")
        if not registry.is_server():
            _say_that_nothing_is_guarded()

    def __call__(self, request: HttpRequest) -> Any:
        if isinstance(request, ASGIRequest):
            registry.threads().are_unlimited()
        else:
            registry.threads().serves()
        return self._call(request)

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        with RequestScope(name_of(request)) as scope:
            if (response := _at_once(request, scope)) is None or _passes_on(request, response, scope):
                try:
                    response = self.get_response(request)
                except Exception as error:
                    response = _without_error_page(request, error)
                response = _finished(request, response, scope)
            return _named(request, response, scope)

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        with RequestScope(name_of(request)) as scope:
            if (response := _at_once(request, scope)) is None or _passes_on(request, response, scope):
                try:
                    response = await self.get_response(request)
                except Exception as error:
                    response = _without_error_page(request, error)
                response = _finished(request, response, scope)
            return _named(request, response, scope)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Take a place in the view's pool; if the pool is full, answer 503 without the view."""
        name = pool_of(view, reads=is_read(request))
        scope = current_scope()
        if name is None or scope is None or not registry.is_server():
            return None
        try:
            scope.enter_pool(name)
        except Exception as error:
            if isinstance(error, RejectedError):
                shed.note(name, error, read=is_read(request))
            if (refusal := self.process_exception(request, error)) is None:
                raise
            return refusal
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer an outage that the view let through; leave any other error to Django."""
        return unavailable.for_request(request, error) if _is_answered(error) else None


@cache
def _say_that_nothing_is_guarded() -> None:
    """Log, once in a process, that nothing is guarded: it is `runserver`, or a variable was forgotten."""
    logger.warning(
        "This process answers requests without breakers, deadlines and fallbacks: it is no server process "
        "of resilience. Set RESILIENCE_ROLE=server in wsgi.py or asgi.py, before Django is loaded."
    )


def _at_once(request: HttpRequest, scope: RequestScope) -> HttpResponseBase | None:
    """Answer a request that needs no view: liveness, readiness, metrics, a fresh answer, a bad body.

    For any other request start the clock and return None. The clock starts after the body has come, so that a
    slow client spends none of the budget.
    """
    path = request.path_info.rstrip("/")
    if path == conf.get("LIVENESS_PATH"):
        return _beside(request, _probed(request, _liveness))
    steward.start()
    if path == conf.get("READINESS_PATH"):
        return _beside(request, _probed(request, _readiness))
    if path == conf.get("METRICS_PATH"):
        return _beside(request, metrics_view(request))
    known = None if conf.shadow() else fresh.answer(request) or bodies.receive(request)
    if known is not None:
        return _finished(request, known, scope)
    scope.start_clock(request)
    return None


def _is_answered(error: BaseException) -> bool:
    """Tell whether an error is answered by a 503 of ours. In shadow it goes on, as without the app."""
    return not conf.shadow() and is_outage(error)


def _remember_outage(sender: object, request: HttpRequest | None = None, **kwargs: object) -> None:
    """Keep the outage that ended a request in another middleware: there `process_exception` is not called."""
    scope, error = current_scope(), sys.exc_info()[1]
    if scope is not None and error is not None and _is_answered(error):
        scope.outage = error


def _last_resort(request: HttpRequest, response: HttpResponseBase, outage: BaseException) -> HttpResponseBase:
    """Return the 503 of an outage instead of Django's error page for it."""
    error_page, response = response, unavailable.for_request(request, outage)
    for name, value in error_page.items():  # headers that other middleware sets on every answer
        if name != "Content-Length":
            response.setdefault(name, value)
    return response


def _passes_on(request: HttpRequest, response: HttpResponseBase, scope: RequestScope) -> bool:
    """Lead a request whose answer is known through all other middleware, if it is a page that asks."""
    if not early.is_asked_from_a_page(request):
        return False
    scope.early = response
    early.lead(request)
    return True


def _without_error_page(request: HttpRequest, error: Exception) -> HttpResponse:
    """Answer an outage that the site's own error page ran into; raise any other error."""
    if not _is_answered(error):
        raise error
    return unavailable.for_request(request, error)


def _named(request: HttpRequest, response: HttpResponseBase, scope: RequestScope) -> HttpResponseBase:
    response[REQUEST_ID] = scope.request_id
    if conf.shadow():
        return response
    if response.status_code == 503:
        reports.refused(request)
    if request.method == "OPTIONS" and response.status_code == 405:
        _tell_methods(response)
    if response.status_code >= 400:
        # Without it a cache may keep some errors, a 404 among them, for as long as it sees fit.
        response.setdefault("Cache-Control", "no-store")
    if response.status_code in (204, 304):
        del response["Content-Length"]  # of a body that is not there (RFC 9110 §8.6)
        del response["Content-Type"]
    return response


def _tell_methods(response: HttpResponseBase) -> None:
    """Make of a view's refusal of OPTIONS the answer to it (RFC 9110 §9.3.7): the methods, in `Allow`."""
    methods = [name.strip() for name in response.get("Allow", "").split(",") if name.strip()]
    response["Allow"] = ", ".join(dict.fromkeys((*methods, "OPTIONS")))
    response.status_code = 204
    if isinstance(response, HttpResponse):
        response.content = b""
    for name in ("Content-Type", "Content-Length"):
        del response[name]


def _probed(request: HttpRequest, probe: Callable[[], HttpResponse]) -> HttpResponse:
    """Answer GET and HEAD; refuse each other method, and say which there are."""
    if request.method in ("GET", "HEAD"):
        return probe()
    response = _said(405, {"status": "method not allowed"})
    response["Allow"] = "GET, HEAD, OPTIONS"
    return response


def _liveness() -> HttpResponse:
    return _said(200, {"status": "alive"})


def _readiness() -> HttpResponse:
    """Return 200 while any tier can answer: without its database, a process should still get requests."""
    if health.draining():
        return _said(503, {"status": "draining"})
    if health.starting():
        return _said(503, {"status": "starting"})
    tiers = health.able()
    return _said(200 if tiers else 503, {"status": "ready" if tiers else "nothing to serve", "tiers": tiers})


def _said(status: int, body: dict[str, Any]) -> HttpResponse:
    return JsonResponse(
        body, status=status, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    )


def _finished(request: HttpRequest, response: HttpResponseBase, scope: RequestScope) -> HttpResponseBase:
    """Apply the request's conditions to the answer, count it, and show it to the tier that gave it."""
    outage, scope.outage = scope.outage, None  # its traceback would keep the whole request in memory
    if scope.early is not None:  # All that follows was done with it.
        passed = scope.early if response.status_code >= 500 else response
        return _with_headers(passed, degraded=scope.degraded)
    if outage is not None and (scope.lost or response.status_code == 500):
        response = _last_resort(request, response, outage)
    if not conf.shadow():
        response = conditions.kept_elsewhere(request, response)
    if scope.answered is not None:
        scope.answered(request, response)
    answer_counts.count(response, degraded=scope.degraded)
    return _with_headers(response, degraded=scope.degraded)


def _beside(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Apply the request's conditions to an answer that is for whoever watches the site; it is not counted."""
    return _with_headers(conditions.kept_elsewhere(request, response), degraded=False)


def _with_headers(response: HttpResponseBase, *, degraded: bool) -> HttpResponseBase:
    for name, state in registry.states().items():
        degraded = degraded or state != "CLOSED"
        for header in OF_BREAKERS.get(name, ()):
            response[header] = state
    response[SYSTEM_DEGRADED] = "true" if degraded else "false"
    return response
