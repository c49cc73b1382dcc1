"""The site's addresses, and liveness as plain Django has it: a view behind all middleware."""

from django.http import HttpRequest, JsonResponse
from django.urls import path

from zenow.urls import urlpatterns as of_the_site


def live(_: HttpRequest) -> JsonResponse:
    """Say that the process answers."""
    return JsonResponse({"status": "alive"})


urlpatterns = [path("api/health/live", live), *of_the_site]
