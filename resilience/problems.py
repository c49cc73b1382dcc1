"""Errors as problems (RFC 9457): an exception handler for the API's views, a middleware for other errors."""

import json
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from resilience.primitives.errors import BreakerOpenError, RejectedError
from resilience.request.response_headers import DEGRADED_REASON, Reason
from resilience.request.scope import current_scope

MEDIA_TYPE = "application/problem+json"
API = "/api/"
UNAVAILABLE = "A service that this answer needs is not available at the moment. Please try again shortly."
BUSY = "The site is busy at the moment, and others were first. Please try again shortly."

# In seconds: the most that `Retry-After` asks for before the spread, and the most that the spread adds.
LONGEST_WAIT = 86_400
WIDEST_SPREAD = 30
_draw = random.random

# The details of problems that replace Django's own error pages.
_DETAILS = {
    400: "The request cannot be understood.",
    403: "The request is not allowed.",
    404: "There is nothing at this address.",
    405: "This address does not answer this method; the header Allow lists those that it does.",
    413: "The request is too large.",
    500: "The error is ours; it has been logged.",
}


class ProblemError(Exception):
    """End the request with `status`. `detail` is one sentence; `errors` has one member for each mistake.

    `retry_after` says in how many seconds the same request may succeed, if it may.
    Raise it in a view of Django REST framework whose exception handler is the one below, or where `answer_to`
    turns errors into answers.
    """

    status = 400
    headers: Mapping[str, str] = {}

    def __init__(
        self,
        detail: str,
        errors: Sequence[Mapping[str, Any]] = (),
        *,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        self.status = status or self.status
        self.retry_after = retry_after


class ParameterError(ProblemError):
    """A query parameter is unknown, wrong, or names something that does not exist.

    `parameter` is its name, `detail` one sentence. `allowed` says what would be accepted: a list, or words if
    it cannot be listed.
    """

    def __init__(
        self, parameter: str, detail: str, *, allowed: Sequence[str] | str | None = None, status: int = 400
    ) -> None:
        error: dict[str, Any] = {"parameter": parameter, "detail": detail}
        if allowed is not None:
            error["allowed"] = allowed if isinstance(allowed, str) else list(allowed)
        super().__init__(f"{parameter}: {detail}", [error], status=status)

    @classmethod
    def joined(cls, wrong: Sequence["ParameterError"]) -> "ParameterError":
        """Return the first of `wrong`, with the `errors` of all of them."""
        first = wrong[0]
        first.errors = [member for error in wrong for member in error.errors]
        return first


class ConflictError(ProblemError):
    """The write conflicts with what is stored."""

    status = 409


class TooLargeError(ProblemError):
    """The body has more bytes than the site accepts."""

    status = 413


class UnsupportedTypeError(ProblemError):
    """The body is of a media type that is not taken; `takes` are those that are."""

    status = 415

    def __init__(self, detail: str, *, takes: Iterable[str]) -> None:
        super().__init__(detail)
        self.headers = {"Accept": ", ".join(takes)}


class BrokenOffError(ProblemError, BadRequest):
    """The body broke off. It is 400 also in a plain view."""


def problem(
    status: int, title: str = "", detail: str = "", *, type: str = "about:blank", **extra: Any
) -> HttpResponse:
    """Return a problem as a response; `extra` are further members of its body."""
    body = {"type": type, "title": title or _phrase(status), "status": status, "detail": detail, **extra}
    return HttpResponse(json.dumps(body, ensure_ascii=False), status=status, content_type=MEDIA_TYPE)


def come_back(response: HttpResponseBase, seconds: float) -> None:
    """Set `Retry-After`: no less than `seconds`, and not the same for all clients.

    The value is in whole seconds, at least 1. A random part is added: up to half of the wait, at least 2 s,
    at most `WIDEST_SPREAD`. Otherwise all clients that an outage refused would come back in the same second.
    """
    least = min(max(1, math.ceil(seconds)), LONGEST_WAIT)
    spread = min(max(2, least // 2), WIDEST_SPREAD)
    response["Retry-After"] = str(least + int(_draw() * (spread + 1)))


def refusal(detail: str, seconds: float, reason: Reason, **members: str) -> HttpResponse:
    """Return the 503 of a request that an outage or a crowd ended, to be sent again in `seconds`.

    `reason` is a member of the problem and a header. `members` are further ones.
    """
    response = problem(503, detail=detail, reason=reason, **members)
    response[DEGRADED_REASON] = reason
    come_back(response, seconds)
    return response


def wrong_members(messages: Any) -> ProblemError:
    """Return the error of a body from DRF's messages, which are by member and nested as the body is."""
    return ProblemError("The body is not accepted; `errors` says where.", list(_members(messages, "#")))


def unknown_members(names: Sequence[str], *, known: Iterable[str]) -> dict[str, list[str]]:
    """Return the messages on unknown members of a body: on 20 at most, named by their first 60 letters."""
    said = f"There is no such member. There are: {', '.join(known)}."
    return {str(name)[:60]: [said] for name in names[:20]}


def answer_to(error: Exception) -> HttpResponse | None:
    """Return an error as a problem; None for a bug, which becomes a 500."""
    if isinstance(error, RejectedError):
        return _rejected(error)
    if not isinstance(error, ProblemError):
        return None
    members: dict[str, Any] = {"errors": error.errors} if error.errors else {}
    response = problem(error.status, detail=error.detail, **members)
    for name, value in error.headers.items():
        response[name] = value
    if error.retry_after is not None:
        come_back(response, error.retry_after)
    return response


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Return the exception of an API view as a problem; None for a bug, which becomes a 500."""
    # Imported here: a project without Django REST framework can use all of this module but this function.
    from rest_framework import exceptions
    from rest_framework.views import set_rollback

    if (response := answer_to(exc)) is not None:
        set_rollback()
        return response
    if isinstance(exc, Http404):
        exc = exceptions.NotFound(*exc.args)
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied(*exc.args)
    if not isinstance(exc, exceptions.APIException):
        return None
    set_rollback()
    if isinstance(exc, exceptions.ValidationError):
        wrong = wrong_members(exc.detail)
        response = problem(exc.status_code, detail=wrong.detail, errors=wrong.errors)
    else:
        response = problem(exc.status_code, detail=str(exc.detail))
    for name, value in getattr(exc, "headers", {}).items():
        response[name] = value
    if isinstance(exc, exceptions.UnsupportedMediaType | exceptions.MethodNotAllowed):
        _say_what_is_taken(response, context)
    if header := getattr(exc, "auth_header", None):
        response["WWW-Authenticate"] = header
    if wait := getattr(exc, "wait", None):
        come_back(response, wait)
    return response


def _say_what_is_taken(response: HttpResponse, context: Mapping[str, Any]) -> None:
    """Say which media types a view takes: by PATCH (RFC 5789 §3.1), and by the method that was refused."""
    if (view := context.get("view")) is None:
        return
    method = context["request"].method
    kinds = {parser.media_type: getattr(parser, "methods", None) for parser in view.parser_classes}

    def taken_by(name: str) -> str:
        return ", ".join(kind for kind, methods in kinds.items() if methods is None or name in methods)

    if "PATCH" in view.allowed_methods:
        response["Accept-Patch"] = taken_by("PATCH")
    if response.status_code == 415:
        response["Accept"] = taken_by(method)


class ProblemMiddleware:
    """Turn every error page under `/api/` into a problem, and keep its headers.

    Django makes such pages for requests that reach no view (unknown address, wrong host, CSRF) and for bugs.
    The traceback of a bug is then only in the log, under DEBUG too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        scope = current_scope()
        if scope is not None and response is scope.early:
            return response  # It is as it should be: a problem, or what a probe says.
        if response.status_code < 400 or not request.path_info.startswith(API):
            return response
        if isinstance(response, HttpResponse) and response.get("Content-Type") != MEDIA_TYPE:
            status = response.status_code
            response.content = problem(status, detail=_DETAILS.get(status, "")).content
            response["Content-Type"] = MEDIA_TYPE
            if "Content-Length" in response:
                response["Content-Length"] = str(len(response.content))
        return response


def _rejected(error: RejectedError) -> HttpResponse:
    detail = f"{error.reason[:1].upper()}{error.reason[1:]}."
    if error.http_status != 503:
        response = problem(error.http_status, detail=detail)
        come_back(response, error.retry_after)
        return response
    # What pools, locks and breakers say is for operators.
    if error.busy:
        return refusal(BUSY, error.retry_after, "busy")
    return refusal(
        UNAVAILABLE if isinstance(error, BreakerOpenError) else detail, error.retry_after, "unavailable"
    )


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _members(detail: Any, pointer: str) -> Iterator[dict[str, str]]:
    """Yield DRF's nested messages one by one, each with a JSON pointer to its member."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else f"/{str(name).replace('~', '~0').replace('/', '~1')}"
            yield from _members(inner, pointer + step)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, dict | list)
            yield from _members(inner, f"{pointer}/{index}" if nested else pointer)
    else:
        yield {"pointer": pointer, "detail": str(detail)}
