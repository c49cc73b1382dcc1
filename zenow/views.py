"""The start page, which tells people what this is and where to go."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe


@require_safe
@cache_control(max_age=0)
def home(request: HttpRequest) -> HttpResponse:
    """Show the start page. It needs no dependency, so it works in any outage."""
    return render(request, "home.html")
