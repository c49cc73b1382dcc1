"""Who asks, as the site's own authentication of Django REST framework tells it to a plain view."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from rest_framework.exceptions import APIException
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.views import APIView

from resilience.problems import ProblemError


class _Asked(APIView):
    # A scheme by session looks for the token against forgery in a form. These leave the body readable.
    parser_classes = [JSONParser, FormParser, MultiPartParser]


def account(request: HttpRequest) -> Any:
    """Return the user as for a write: some schemes trust the token alone for what only reads.

    Raises `ProblemError`, 401 for credentials that do not hold, and whatever an outage raises.
    """
    asked = _Asked().initialize_request(request)
    asked.method = "POST"
    try:
        return asked.user
    except APIException as error:
        raise ProblemError(str(error.detail), status=error.status_code) from error


def challenge(request: HttpRequest) -> str:
    """Return what `WWW-Authenticate` says by the site's first scheme; nothing where that has no challenge."""
    view = _Asked()
    return view.get_authenticate_header(view.initialize_request(request)) or ""
