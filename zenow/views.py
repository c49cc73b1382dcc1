"""The start page: what this is and where to go, for people."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe


@require_safe
@cache_control(max_age=0)
def home(request: HttpRequest) -> HttpResponse:
    """Show the start page; it asks no server, so it is there whatever is down."""
    return render(request, "home.html")
