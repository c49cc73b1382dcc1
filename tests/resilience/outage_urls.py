"""Addresses of views that end as an outage makes them end."""

from django.db import OperationalError, ProgrammingError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from psycopg.errors import AdminShutdown, DeadlockDetected, UndefinedTable

from resilience.primitives import current_deadline
from resilience.request.scope import pool


def lost(request: HttpRequest) -> HttpResponse:
    raise OperationalError from AdminShutdown()


def deadlock(request: HttpRequest) -> HttpResponse:
    raise OperationalError from DeadlockDetected()


def bug(request: HttpRequest) -> HttpResponse:
    raise ProgrammingError from UndefinedTable()


def left(request: HttpRequest) -> HttpResponse:
    deadline = current_deadline()
    return JsonResponse({"left": None if deadline is None else deadline.remaining()})


@csrf_exempt
def sent(request: HttpRequest) -> HttpResponse:
    return JsonResponse(request.POST.dict())


@pool(None)
def poolless(request: HttpRequest) -> HttpResponse:
    return HttpResponse("answered")


@pool("raed")
def misspelt(request: HttpRequest) -> HttpResponse:
    return HttpResponse("answered without a place")


async def lost_async(request: HttpRequest) -> HttpResponse:
    raise OperationalError from AdminShutdown()


urlpatterns = [
    path("lost", lost),
    path("api/lost", lost),
    path("api/deadlock", deadlock),
    path("api/bug", bug),
    path("api/left", left),
    path("api/sent", sent),
    path("api/poolless", poolless),
    path("api/misspelt", misspelt),
    path("api/lost-async", lost_async),
]
