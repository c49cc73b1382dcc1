"""The same, with a page for errors that asks the database itself."""

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from psycopg.errors import AdminShutdown

from tests.resilience.outage_urls import urlpatterns as urlpatterns


def handler500(request: HttpRequest) -> HttpResponse:
    raise OperationalError from AdminShutdown()
