"""The board's pages. They use no ORM, session or admin log, so they work with everything down."""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from resilience import registry
from resilience.answers.pages import page
from resilience.journal import events
from resilience.operate import passes
from resilience.operate.board.state import state
from resilience.operate.orders import ENDS, WORDS, Order, OrderError, StoreBusyError, steer
from resilience.operate.passes import Pass
from resilience.operate.permissions import Steerer, may_steer
from resilience.primitives import Limits, RejectedError
from resilience.problems import ProblemError, come_back
from resilience.request.client_address import neighbourhood_of
from resilience.request.scope import pool

logger = logging.getLogger("resilience.board")

# The most attempts with the OPS_TOKEN from one address in a minute.
_ATTEMPTS = 5


@pool(None)
@never_cache
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def board(request: HttpRequest) -> HttpResponse:
    """Show the board, and carry out the orders given there."""
    holder = _holder(request)
    if holder is None:
        return _entry(request)
    if request.method == "POST":
        return _ordered(request, holder)
    if holder.by == "pass":
        events.record("pass", who=holder.who, why=f"the board was entered by {holder.by}")
    return _shown(request, holder)


@pool(None)
@never_cache
@require_safe
def board_state(request: HttpRequest) -> HttpResponse:
    """Return the board's state as JSON; the page asks for it every two seconds."""
    holder = _holder(request)
    if holder is None:
        return JsonResponse({"detail": "The pass has ended."}, status=403)
    response = JsonResponse(state())
    _confirm(response, holder)
    return response


@pool(None)
@never_cache
@csrf_protect
@sensitive_post_parameters("token")
@require_POST
def enter(request: HttpRequest) -> HttpResponse:
    """Let in anyone who types the OPS_TOKEN; an address has five attempts a minute."""
    store = registry.store()
    decision = Limits(store).hit(f"board {neighbourhood_of(request)}", _ATTEMPTS, 60.0)
    if not decision.counted:
        store.counters.add("limits", "board", "uncounted")
        logger.warning("an attempt at the board's form could not be counted and was let through")
    if not decision.allowed:
        store.counters.add("limits", "board", "refused")
        wait = f"Too many attempts. Try again in {max(1, round(decision.retry_after))} s."
        response = _entry(request, wait, status=429)
        come_back(response, decision.retry_after)
        return response
    expected = getattr(settings, "OPS_TOKEN", "")
    if not expected or not constant_time_compare(request.POST.get("token", "").strip(), expected):
        logger.warning("a wrong OPS_TOKEN was typed at the board")
        return _entry(request, "That is not the OPS_TOKEN.", status=403)
    events.record("pass", who="OPS_TOKEN", why="the token was typed at the board")
    response = HttpResponseRedirect(reverse("resilience-board:board"))
    passes.give(response, passes.by_token(), at=time.time())
    return response


@pool(None)
@never_cache
@csrf_protect
@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Remove the pass from the browser, and end all copies of it."""
    response = HttpResponseRedirect(reverse("resilience-board:board"))
    _end_pass(request, response)
    return response


def _holder(request: HttpRequest) -> Steerer | None:
    try:
        return may_steer(request, board=True)
    except (ProblemError, RejectedError):
        return None


def _ordered(request: HttpRequest, holder: Steerer) -> HttpResponse:
    try:
        order = Order.from_form(request.POST)
        steer(order, who=holder.named)
    except OrderError as error:
        return _shown(request, holder, error=f"{error}", status=400)
    except StoreBusyError as error:
        response = _shown(request, holder, error=f"{error}", status=503)
        come_back(response, 1.0)
        return response
    return HttpResponseRedirect(f"{reverse('resilience-board:board')}?done={order.action}")


def _shown(request: HttpRequest, holder: Steerer, *, error: str = "", status: int = 200) -> HttpResponse:
    done = WORDS.get(request.GET.get("done", ""), "")
    said: dict[str, Any] = {
        "holder": holder,
        "state": state(),
        "actions": WORDS,
        "ends": ENDS,
        "done": done,
        "error": error,
    }
    response = _page(request, "resilience/board.html", said, status)
    _confirm(response, holder)
    return response


def _confirm(response: HttpResponse, holder: Steerer) -> None:
    """Give a pass to staff whom the database has just confirmed; its hour begins when that was asked."""
    if holder.by == "staff":
        passes.give(response, Pass(holder.who, "staff", holder.key), at=holder.asked)


def _entry(request: HttpRequest, error: str = "", status: int = 403) -> HttpResponse:
    asked = not registry.breaker("database").refuses()
    said = {"error": error, "can_sign_in": asked, "has_token": bool(getattr(settings, "OPS_TOKEN", ""))}
    response = _page(request, "resilience/board_entry.html", said, status)
    if asked and not error:
        _end_pass(request, response)
    return response


def _end_pass(request: HttpRequest, response: HttpResponse) -> None:
    if (given := passes.presented(request)) is not None:
        passes.end(given.key, given.by)
    passes.remove(response)


def _page(request: HttpRequest, template: str, said: dict[str, Any], status: int) -> HttpResponse:
    """Render a page that may load only the site's own files, and fetch only from the site itself."""
    files = urlsplit(settings.STATIC_URL)
    own = f"'self' {files.scheme}://{files.netloc}" if files.netloc else "'self'"
    policy = (
        f"default-src 'none'; script-src {own}; style-src {own}; img-src {own} data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    response = HttpResponse(page(template, said, request), status=status)
    response["Content-Security-Policy"] = policy
    return response
