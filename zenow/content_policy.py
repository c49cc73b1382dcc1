"""The Content-Security-Policy of our pages: they load nothing from elsewhere, and have no inline scripts."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

HEADER = "Content-Security-Policy"
# Inline styles are allowed, since the start page, Swagger UI and the admin have some.
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class ContentPolicyMiddleware:
    """Set the policy on every page that has none, but not on DEBUG's error pages, which need scripts."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_page = response.get("Content-Type", "").startswith("text/html")
        if is_page and HEADER not in response and not (settings.DEBUG and response.status_code >= 400):
            response[HEADER] = POLICY
        return response
