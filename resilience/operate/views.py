"""The operators' HTTP interface: health for everybody, breakers for those who may steer them, and metrics.

These are plain Django views, so they need no other package. `resilience.operate.openapi` adds them to the
schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, Literal

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from resilience import registry
from resilience.observe import health, history
from resilience.operate import reset
from resilience.operate.orders import StoreBusyError, UnknownBreakerError, steer
from resilience.operate.permissions import has_ops_token, may_steer
from resilience.problems import ParameterError, ProblemError, answer_to, come_back, problem
from resilience.request.scope import pool

# A middleware sets it too, but `metrics_view` may answer before that.
_NO_GUESSING = {"X-Content-Type-Options": "nosniff"}
_ALLOWED = {"GET": ("GET", "HEAD"), "POST": ("POST",)}

# A view of the request and of the name, in the journal, of who asks; "" if everybody may ask.
View = Callable[[HttpRequest, str], HttpResponse]


def answers(
    method: Literal["GET", "POST"], *, to: Literal["everybody", "steerers"]
) -> Callable[[View], Callable[[HttpRequest], HttpResponse]]:
    """Make a view that answers JSON that no cache may keep, since it is true for a moment only.

    With `to="steerers"` others are refused before anything else. `may_steer` itself guards against CSRF where
    it accepts a cookie, so Django's guard is left out.
    """

    def made(view: View) -> Callable[[HttpRequest], HttpResponse]:
        @csrf_exempt
        @wraps(view)
        def answered(request: HttpRequest) -> HttpResponse:
            try:
                _refuse_unless_json_is_taken(request)
                who = may_steer(request).named if to == "steerers" else ""
                _refuse_unless_in(_ALLOWED[method], request)
                response = view(request, who)
            except Exception as error:
                told = answer_to(error)
                if told is None:
                    raise
                response = told
            response["Allow"] = ", ".join((*_ALLOWED[method], "OPTIONS"))
            patch_cache_control(response, no_store=True)
            return response

        return answered

    return made


@pool(None)  # no place at all: it answers from memory, also when every pool is full
@answers("GET", to="everybody")
def health_view(request: HttpRequest, who: str) -> HttpResponse:
    """Say how each service is. Always 200, at once, without asking any of them."""
    return _said(health.report())


@pool(None)
@answers("GET", to="steerers")
def breakers_view(request: HttpRequest, who: str) -> HttpResponse:
    """List the circuit breakers of the host: state, counts, last error, and the order in force."""
    found = [breaker.snapshot() for breaker in registry.breakers().values()]
    where = "host" if registry.shared() else "local"
    return _said({"breakers": [health.breaker(one) for one in found], "store": where})


@pool(None)
@answers("POST", to="steerers")
def reset_view(request: HttpRequest, who: str) -> HttpResponse:
    """Close breakers, all unless named, forget their windows and end any order, on the whole host."""
    if request.GET:
        raise ParameterError(next(iter(request.GET)), "Put it into the body.")
    order = reset.order_from(request)
    try:
        found = steer(order, who=who)
    except UnknownBreakerError as error:
        errors = [
            {
                "pointer": f"#/breakers/{order.names.index(name)}",
                "detail": "There is no such breaker.",
                "allowed": error.known,
            }
            for name in error.unknown
        ]
        raise ProblemError(f"There is {error}.", errors) from error
    except StoreBusyError as error:
        busy = problem(503, detail=f"{error}.")
        come_back(busy, 1.0)
        return busy
    return _said({"reset": [one.name for one in found], "breakers": [health.breaker(one) for one in found]})


@pool("other")  # it asks the database, if that is up
@answers("GET", to="steerers")
def history_view(request: HttpRequest, who: str) -> HttpResponse:
    """Sum up a span: availability, outages, recovery, fallbacks, error rates by service and operation."""
    span = request.GET.get("span", "day")
    if span not in history.SPANS:
        raise ParameterError("span", f"There is no span {span[:20]!r}.", allowed=list(history.SPANS))
    return _said(history.summary(span))


@pool(None)
@require_safe
@never_cache
def metrics_view(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus if it sends the OPS_TOKEN as bearer token; while DEBUG is on, answer anybody."""
    if not (settings.DEBUG or has_ops_token(request)):
        return HttpResponse(
            "Send the OPS_TOKEN as a bearer token.\n",
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": 'Bearer realm="metrics"', **_NO_GUESSING},
        )
    from resilience.observe import metrics  # only a project that is scraped needs its package

    body, content_type = metrics.exposition(request.META.get("HTTP_ACCEPT", ""))
    return HttpResponse(body, content_type=content_type, headers=_NO_GUESSING)


def _refuse_unless_json_is_taken(request: HttpRequest) -> None:
    # Not `request.accepts`, for which `application/json; indent=4` is another type. An empty header is none.
    said = request.META.get("HTTP_ACCEPT", "").strip()
    if said and not any(one.match("application/json") for one in request.accepted_types):
        raise ProblemError("Could not satisfy the request Accept header.", status=406)


def _refuse_unless_in(methods: tuple[str, ...], request: HttpRequest) -> None:
    if request.method not in methods:
        raise ProblemError(f'Method "{request.method}" not allowed.', status=405)


def _said(body: dict[str, Any]) -> HttpResponse:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return HttpResponse(text, content_type="application/json")
