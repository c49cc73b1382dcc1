"""A site of plain views of each kind, most of which show something of the client that asks."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.cache import cache_control, cache_page, never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import condition
from django.views.decorators.vary import vary_on_cookie
from django.views.generic import DetailView, ListView, TemplateView, View

from learn.models import Course
from resilience.answers.views import ResilientView, resilient

if TYPE_CHECKING:
    _List = ListView[Course]
    _Detail = DetailView[Course]
else:
    _List, _Detail = ListView, DetailView

everybodys = resilient(same_for_everybody=True)

_BASE = (
    "{% load resilience i18n tz %}<html><body>{% degradation %}{% block body %}{% endblock %}</body></html>"
)


def _page(body: str) -> str:
    return '{% extends "base.html" %}{% load i18n tz %}{% block body %}' + body + "{% endblock %}"


TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            # No loader looks into the apps.
            "loaders": [
                (
                    "django.template.loaders.locmem.Loader",
                    {
                        "base.html": _BASE,
                        "courses.html": _page("{% for one in courses %}<li>{{ one.title }}</li>{% endfor %}"),
                        "course.html": _page("<h1>{{ course.title }}</h1>"),
                        "greeting.html": _page("{% if user.is_authenticated %}{{ user }}{% endif %} hello"),
                        "form.html": _page("<form>{% csrf_token %}</form>"),
                        "messages.html": _page("{% for one in messages %}{{ one }}{% endfor %}none"),
                        "session.html": _page("basket: {{ request.session.basket }}"),
                        "cookie.html": _page("flavour: {{ request.COOKIES.flavour }}"),
                        "time.html": _page("{% get_current_language as l %}{{ l }} {{ moment }} {{ zone }}"),
                        "commented.html": _page("{{ written|safe }}"),
                        "unmarked.html": "<html><body>unmarked</body></html>",
                    },
                )
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csrf",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]


class TimeZoneByCookie:
    """Activate the zone that a cookie names, and say so in no header."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.COOKIES.get("blocked"):
            request.blocked = True  # type: ignore[attr-defined]
        if "shown" in request.COOKIES:
            request.GET = QueryDict("shown=" + request.COOKIES["shown"])
            request.path_info += request.COOKIES["shown"]
        request.flavour_of_middleware = request.COOKIES.get("flavour")  # type: ignore[attr-defined]
        with timezone.override(zoneinfo.ZoneInfo(request.COOKIES.get("zone", "UTC"))):
            return self.get_response(request)


MIDDLEWARE = [
    "resilience.middleware.ResilienceMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "tests.leaks.site.TimeZoneByCookie",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]


@everybodys
def function(request: HttpRequest) -> HttpResponse:
    return render(request, "courses.html", {"courses": Course.objects.order_by("title")})


@everybodys
def lazily(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, "greeting.html")


@everybodys
def form(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, "form.html")


@everybodys
def token(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"token": get_token(request)})


@everybodys
def told(request: HttpRequest) -> HttpResponse:
    return render(request, "messages.html")


@everybodys
def telling(request: HttpRequest) -> HttpResponse:
    messages.info(request, "seen by " + request.GET.get("as", ""))
    return HttpResponse("told")


@everybodys
def session(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, "session.html")


@everybodys
def cookie(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, "cookie.html")


@everybodys
def cookie_from_meta(request: HttpRequest) -> HttpResponse:
    return HttpResponse("sent: " + request.META.get("HTTP_COOKIE", ""))


@everybodys
def cookie_from_copy(request: HttpRequest) -> HttpResponse:
    return HttpResponse("sent: " + {**request.META}.get("HTTP_COOKIE", ""))


@everybodys
def from_headers(request: HttpRequest) -> HttpResponse:
    return HttpResponse("tenant: " + request.headers.get("X-Tenant", ""))


@everybodys
def all_headers(request: HttpRequest) -> HttpResponse:
    return JsonResponse({**request.headers})


@everybodys
def from_dict(request: HttpRequest) -> HttpResponse:
    return HttpResponse("tenant: " + str(vars(request)["META"].get("HTTP_X_TENANT")))


@everybodys
def from_environ(request: HttpRequest) -> HttpResponse:
    environ: Any = getattr(request, "environ", {})
    return HttpResponse("tenant: " + str(environ.get("HTTP_X_TENANT")))


@everybodys
def of_middleware(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"flavour: {getattr(request, 'flavour_of_middleware', None)}")


@everybodys
def setting_cookie(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("set")
    response.set_cookie("flavour", request.GET.get("as", "plain"))
    return response


@everybodys
def moment(request: HttpRequest) -> HttpResponse:
    zone = timezone.get_current_timezone_name()
    return TemplateResponse(request, "time.html", {"zone": zone, "moment": request.build_absolute_uri()})


@resilient(same_for_everybody=True, by_headers=["X-Tenant"])
def by_tenant(request: HttpRequest) -> HttpResponse:
    return HttpResponse("tenant: " + request.headers.get("X-Tenant", ""))


@everybodys
async def in_async(request: HttpRequest) -> HttpResponse:
    titles = [one.title async for one in Course.objects.order_by("title")]
    return JsonResponse({"titles": titles})


@everybodys
async def account_in_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"async {await request.auser()}")


@everybodys
def streaming(request: HttpRequest) -> HttpResponseBase:
    return StreamingHttpResponse(iter([f"stream {request.user}"]))


@resilient()
def mine(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"mine: {request.user}")


class Courses(ResilientView, _List):
    same_for_everybody = True
    queryset = Course.objects.order_by("title")
    template_name = "courses.html"
    context_object_name = "courses"


@everybodys
class Detail(_Detail):
    queryset = Course.objects.all()
    template_name = "course.html"
    context_object_name = "course"


@everybodys
class Unmarked(TemplateView):
    template_name = "unmarked.html"


@everybodys
class OwnGet(View):
    def get(self, request: HttpRequest, number: int) -> HttpResponse:
        if number > 9:
            raise Http404
        return JsonResponse({"number": number})


@everybodys
@never_cache
def never(request: HttpRequest) -> HttpResponse:
    return HttpResponse("never")


@everybodys
@cache_control(private=True)
def private(request: HttpRequest) -> HttpResponse:
    return HttpResponse("private")


@everybodys
@cache_control(max_age=60, public=True)
def public(request: HttpRequest) -> HttpResponse:
    return HttpResponse("public")


@everybodys
@vary_on_cookie
def varying(request: HttpRequest) -> HttpResponse:
    return HttpResponse("varying")


@everybodys
@gzip_page
def compressed(request: HttpRequest) -> HttpResponse:
    return HttpResponse("compressed " * 100)


@gzip_page
@everybodys
def compressed_outside(request: HttpRequest) -> HttpResponse:
    return HttpResponse("compressed " * 100)


@everybodys
@condition(etag_func=lambda request: '"one"')
def conditional(request: HttpRequest) -> HttpResponse:
    return HttpResponse("conditional")


@cache_page(60, cache="pages")
@everybodys
def cached_outside(request: HttpRequest) -> HttpResponse:
    return render(request, "courses.html", {"courses": Course.objects.order_by("title")})


@everybodys
@cache_page(60, cache="pages")
def cached_inside(request: HttpRequest) -> HttpResponse:
    return render(request, "courses.html", {"courses": Course.objects.order_by("title")})


urlpatterns = [
    path("function", function),
    path("lazily", lazily),
    path("form", form),
    path("token", token),
    path("told", told),
    path("telling", telling),
    path("session", session),
    path("cookie", cookie),
    path("cookie-from-meta", cookie_from_meta),
    path("cookie-from-copy", cookie_from_copy),
    path("from-headers", from_headers),
    path("all-headers", all_headers),
    path("from-dict", from_dict),
    path("from-environ", from_environ),
    path("of-middleware", of_middleware),
    path("setting-cookie", setting_cookie),
    path("moment", moment),
    path("by-tenant", by_tenant),
    path("async", in_async),
    path("account-in-async", account_in_async),
    path("streaming", streaming),
    path("mine", mine),
    path("courses", Courses.as_view()),
    path("courses/<slug:slug>", Detail.as_view()),
    path("unmarked", Unmarked.as_view()),
    path("own-get/<int:number>", OwnGet.as_view()),
    path("never", never),
    path("private", private),
    path("public", public),
    path("varying", varying),
    path("compressed", compressed),
    path("compressed-outside", compressed_outside),
    path("conditional", conditional),
    path("cached-outside", cached_outside),
    path("cached-inside", cached_inside),
]
