"""For plain views: who asks, by the authentication that the site has set in Django REST framework."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from rest_framework.exceptions import APIException
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.views import APIView

from resilience.problems import ProblemError


class _Asked(APIView):
    # Authentication by session looks for its CSRF token in a form. These parsers leave the body readable.
    parser_classes = [JSONParser, FormParser, MultiPartParser]


def account(request: HttpRequest) -> Any:
    """Return the user, checked as for a write: for reads, some schemes trust the token alone.

    Raises `ProblemError` (401 for wrong credentials), and in an outage the driver's error.
    """
    asked = _Asked().initialize_request(request)
    asked.method = "POST"
    try:
        return asked.user
    except APIException as error:
        raise ProblemError(str(error.detail), status=error.status_code) from error


def challenge(request: HttpRequest) -> str:
    """Return the value of `WWW-Authenticate` by the site's first scheme; "" if that has no challenge."""
    view = _Asked()
    return view.get_authenticate_header(view.initialize_request(request)) or ""
