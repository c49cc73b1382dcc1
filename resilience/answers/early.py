"""An early answer: one that is known before any view is asked, and that still passes all other middleware.

A page of another site may read an answer, be it only the status and `Retry-After`, if the site's CORS
middleware has set headers on it. The first middleware has some answers before that one is asked: those of the
probes, and those to requests whose body cannot be read. So if a page asks, such an answer takes the way of
every other: it is given by the only view of the addresses below.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import re_path

from resilience.answers import bodies
from resilience.request.scope import current_scope, pool


def is_asked_from_a_page(request: HttpRequest) -> bool:
    """Tell whether a page asks, maybe one of another site: browsers then send `Origin`."""
    return "HTTP_ORIGIN" in request.META


def lead(request: HttpRequest) -> None:
    """Lead the request to the view below.

    The rest of a refused body is not offered to other middleware, since reading it could fail once more.
    """
    bodies.empty(request)
    request.urlconf = __name__


@pool(None)
def early_answer(request: HttpRequest) -> HttpResponseBase:
    """Return the early answer of the request's scope. Raises LookupError if it has none."""
    scope = current_scope()
    if scope is None or scope.early is None:
        raise LookupError("nothing is known of the answer")
    return scope.early


# What other middleware would ask first. This view does nothing for which it matters who asks.
early_answer.csrf_exempt = True  # type: ignore[attr-defined]
early_answer.login_required = False  # type: ignore[attr-defined]

urlpatterns = [re_path("", early_answer)]
