"""Plain views of more kinds: what they read, write, refuse, and call."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.db.models import Exists
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, re_path
from django.views.generic import View
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from learn.models import Course
from resilience.answers.reads import ResilientReads
from resilience.answers.views import resilient
from tests.leaks.site import everybodys, function, in_async, mine
from tests.leaks.site import urlpatterns as _of_the_site

in_transaction: list[bool] = []


@everybodys
def atomic(request: HttpRequest) -> HttpResponse:
    in_transaction.append(connection.in_atomic_block)
    return HttpResponse(str(Course.objects.count()))


@resilient()
def writing(request: HttpRequest) -> HttpResponse:
    in_transaction.append(connection.in_atomic_block)
    Course.objects.all().delete()
    raise ValueError("a bug after the write")


@everybodys
def of_users(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(User.objects.count()))


@everybodys
def failing_late(request: HttpRequest) -> HttpResponse:
    """Leave traces on the request, then need the database."""
    request.session["seen"] = "yes"
    request.session.save()
    return HttpResponse("seen")


@everybodys
def redirecting(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=302, headers={"Location": "/elsewhere"})


@everybodys
def broken(request: HttpRequest) -> HttpResponse:
    raise ValueError("a bug of the view")


@everybodys
def braces(request: HttpRequest) -> HttpResponse:
    return HttpResponse("{no JSON}", content_type="text/plain")


class OfRest(ResilientReads, APIView):
    same_for_everybody = True

    def get(self, request: Request) -> Response:
        in_transaction.append(connection.in_atomic_block)
        return Response({"courses": Course.objects.count()})


# What a reader has written, and a sanitizer has let pass: the marks of other pages in an attribute.
WRITTEN = '<a title="<!--resilience: degradation--><!--resilience: 0123456789abcdef0123456789abcdef-->">'


@everybodys
def commented(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, "commented.html", {"written": WRITTEN})


@everybodys
def rooming(request: HttpRequest) -> HttpResponse:
    field = Course.objects.get(title="Jazz").field
    return HttpResponse(Course.objects.create(title=uuid4().hex, field=field).title)


@everybodys
def rooming_by_alias(request: HttpRequest) -> HttpResponse:
    field = Course.objects.get(title="Jazz").field
    return HttpResponse(Course.objects.using("default").create(title=uuid4().hex, field=field).title)


@everybodys
def cookie_in_header(request: HttpRequest) -> HttpResponse:
    return HttpResponse("set", headers={"Set-Cookie": f"flavour={uuid4().hex}"})


@everybodys
def joined(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(Course.objects.filter(Exists(User.objects.all())).count()))


@everybodys
def blocking(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"blocked: {getattr(request, 'blocked', False)}")


@everybodys
def exempt(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("framed")
    response.xframe_options_exempt = True
    return response


@everybodys
def of_parts(request: HttpRequest) -> HttpResponse:
    return HttpResponse("whole: " + function(request).text)


@everybodys
def of_part_of_one(request: HttpRequest) -> HttpResponse:
    return HttpResponse("whole: " + mine(request).text)


@everybodys
async def of_async_parts(request: HttpRequest) -> HttpResponse:
    part = await in_async(request)
    return HttpResponse(b"whole: " + part.content)


@everybodys
def for_members(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return HttpResponse("welcome")
    return HttpResponse(status=302, headers={"Location": "/login"})


@everybodys
def for_basket(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=302, headers={"Location": f"/{request.session.get('basket')}"})


@everybodys
def forbidding(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


@everybodys
class Shown(View):
    title = ""

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(f"{self.title}: {request.GET.urlencode()} {request.path_info}")


_SHOWN = {name: Shown.as_view(title=name) for name in ("a", "b")}


def switch(request: HttpRequest) -> Any:
    return _SHOWN[request.COOKIES.get("which", "a")](request)


@everybodys
class WithActions(View):
    @classmethod
    def as_view(cls, *actions: dict[str, str], **initial: Any) -> Any:
        def view(request: HttpRequest) -> HttpResponse:
            return HttpResponse(actions[0]["get"])

        return view


@everybodys
@transaction.non_atomic_requests
async def async_without_transaction(request: HttpRequest) -> HttpResponse:
    in_transaction.append(await sync_to_async(lambda: connection.in_atomic_block)())
    return HttpResponse("done")


def keep_user(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Hold what middleware of the current user holds: the lazy account and the session themselves."""

    def middleware(request: HttpRequest) -> Any:
        held.update(user=request.user, session=request.session)
        return get_response(request)

    return middleware


held: dict[str, Any] = {}


@everybodys
def of_held_user(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(held["user"]))


@everybodys
def of_held_session(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(held["session"].get("basket")))


urlpatterns = [
    path("blocking", blocking),
    path("exempt", exempt),
    path("of-parts", of_parts),
    path("of-part-of-one", of_part_of_one),
    path("of-async-parts", of_async_parts),
    path("for-members", for_members),
    path("for-basket", for_basket),
    path("forbidding", forbidding),
    re_path("^switch", switch),
    path("with-actions", WithActions.as_view({"get": "listed"})),
    path("async-without-transaction", async_without_transaction),
    path("of-held-user", of_held_user),
    path("of-held-session", of_held_session),
    path("commented", commented),
    path("rooming", rooming),
    path("rooming-by-alias", rooming_by_alias),
    path("cookie-in-header", cookie_in_header),
    path("joined", joined),
    path("of-rest", OfRest.as_view()),
    *_of_the_site,
    path("atomic", atomic),
    path("writing", writing),
    path("of-users", of_users),
    path("failing-late", failing_late),
    path("redirecting", redirecting),
    path("broken", broken),
    path("braces", braces),
]
