"""Errors as problems (RFC 9457): the exception handler of the API's views, and a middleware for all else."""

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.exceptions import PermissionDenied as APIPermissionDenied

from resilience.primitives.errors import BreakerOpenError, BulkheadFullError, RejectedError

MEDIA_TYPE = "application/problem+json"
API = "/api/"
UNAVAILABLE = "A service that this answer needs is not available at the moment. Please try again shortly."

# Seconds: no header asks for more, and no more than that is added to spread those who come back.
LONGEST_WAIT = 86_400
WIDEST_SPREAD = 30
_draw = random.random

# What Django's own error pages would say at more length, and to people only.
_DETAILS = {
    400: "The request cannot be understood.",
    403: "The request is not allowed.",
    404: "There is nothing at this address.",
    405: "This address does not answer this method; the header Allow lists those that it does.",
    413: "The request is too large.",
    500: "The error is ours; it has been logged.",
}


class ParameterError(APIException):
    """A query parameter is unknown, wrong, or names something that does not exist.

    `parameter` is its name, `detail` one sentence, `allowed` what would have been accepted: a list where
    there is one, else words.
    """

    def __init__(
        self, parameter: str, detail: str, *, allowed: Sequence[str] | str | None = None, status: int = 400
    ) -> None:
        super().__init__(detail)
        self.status_code = status
        self.errors: list[dict[str, Any]] = [{"parameter": parameter, "detail": detail}]
        if allowed is not None:
            self.errors[0]["allowed"] = allowed if isinstance(allowed, str) else list(allowed)

    @classmethod
    def joined(cls, wrong: Sequence["ParameterError"]) -> "ParameterError":
        """Return one error that says what all of `wrong` say; the first one speaks for them."""
        first = wrong[0]
        first.errors = [member for error in wrong for member in error.errors]
        return first


class ConflictError(APIException):
    """What is stored does not allow this write."""

    status_code = 409


class TooLargeError(APIException):
    """The body has more bytes than the site accepts."""

    status_code = 413


class UnsupportedCodingError(APIException):
    """The body is compressed (`Content-Encoding`), which no parser here undoes."""

    status_code = 415
    headers = {"Accept-Encoding": "identity"}


class BrokenOffError(BadRequest, APIException):
    """The body ended before its end; 400 also where a plain view reads it."""

    status_code = 400


def problem(
    status: int, title: str = "", detail: str = "", *, type: str = "about:blank", **extra: Any
) -> HttpResponse:
    """Return a response of this status as a problem; `extra` are further members of its body."""
    body = {"type": type, "title": title or _phrase(status), "status": status, "detail": detail, **extra}
    return HttpResponse(json.dumps(body, ensure_ascii=False), status=status, content_type=MEDIA_TYPE)


def come_back(response: HttpResponseBase, seconds: float) -> None:
    """Say by `Retry-After` when asking again makes sense: not before `seconds` from now, and not all at once.

    Whole seconds, at least 1. Half of the wait is added at random, from 2 s to `WIDEST_SPREAD`: all who were
    refused in an outage would otherwise return in the second in which the dependency is tried again.
    """
    least = min(max(1, math.ceil(seconds)), LONGEST_WAIT)
    spread = min(max(2, least // 2), WIDEST_SPREAD)
    response["Retry-After"] = str(least + int(_draw() * (spread + 1)))


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Answer an exception of an API view as a problem; None for what is a bug of ours (it becomes a 500)."""
    if isinstance(exc, RejectedError):
        inner = isinstance(exc, BreakerOpenError | BulkheadFullError)  # whose reason is for operators
        response = problem(
            exc.http_status, detail=UNAVAILABLE if inner else f"{exc.reason[:1].upper()}{exc.reason[1:]}."
        )
        come_back(response, exc.retry_after)
        _set_rollback()
        return response
    if isinstance(exc, Http404):
        exc = NotFound(*exc.args)
    elif isinstance(exc, PermissionDenied):
        exc = APIPermissionDenied(*exc.args)
    if not isinstance(exc, APIException):
        return None
    _set_rollback()
    if isinstance(exc, ValidationError):
        errors = list(_members(exc.detail, "#"))
        detail = "The body is not accepted; `errors` says where."
        response = problem(exc.status_code, detail=detail, errors=errors)
    elif isinstance(exc, ParameterError):
        response = problem(exc.status_code, detail=_sentence(exc), errors=exc.errors)
    else:
        response = problem(exc.status_code, detail=str(exc.detail))
    for name, value in getattr(exc, "headers", {}).items():
        response[name] = value
    if header := getattr(exc, "auth_header", None):
        response["WWW-Authenticate"] = header
    if wait := getattr(exc, "wait", None):
        come_back(response, wait)
    return response


class ProblemMiddleware:
    """Turn every error page under `/api/` that is no problem yet into one, keeping its headers.

    Django makes such pages for what never reaches a view (unknown address, wrong host, CSRF) and for bugs,
    whose traceback then stands in the log alone, also under DEBUG.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code < 400 or not request.path_info.startswith(API):
            return response
        if isinstance(response, HttpResponse) and response.get("Content-Type") != MEDIA_TYPE:
            status = response.status_code
            response.content = problem(status, detail=_DETAILS.get(status, "")).content
            response["Content-Type"] = MEDIA_TYPE
            if "Content-Length" in response:
                response["Content-Length"] = str(len(response.content))
        return response


def _set_rollback() -> None:
    # Here, because DRF's views read the settings that name the renderers and parsers that import this module.
    from rest_framework.views import set_rollback

    set_rollback()


def _sentence(exc: ParameterError) -> str:
    first = exc.errors[0]
    return f"{first['parameter']}: {first['detail']}"


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _members(detail: Any, pointer: str) -> Iterator[dict[str, str]]:
    """Yield DRF's nested messages one by one, each with a JSON pointer to the member that it is about."""
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
