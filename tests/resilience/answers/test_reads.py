"""An answer that depends on who asks is given to nobody else; others are shared, once a view says so."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import path
from pytest_django import Settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from resilience import registry
from resilience.answers.reads import ResilientReads
from resilience.testing import server_role
from resilience.tiers import fresh, stored

pytestmark = pytest.mark.urls(__name__)


class ByName(BaseAuthentication):
    """Believe whoever says who they are."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        name = request.headers.get("X-Name")
        return None if name is None else (User(username=name), None)


class Mine(ResilientReads, APIView):
    authentication_classes = [ByName]

    def get(self, request: Request) -> Response:
        return Response({"name": request.user.get_username()})


class Everybodys(Mine):
    same_for_everybody = True

    def get(self, request: Request) -> Response:
        return Response({"name": "everybody"})


class Long(Mine):
    same_for_everybody = True

    def get(self, request: Request) -> Response:
        return Response({"name": "everybody" * 100})


class Page(BaseRenderer):
    media_type = "text/html"
    format = "html"

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        return b"<p>everybody</p>"


class InTwoForms(Everybodys):
    renderer_classes = [JSONRenderer, Page]


urlpatterns = [
    path("mine", Mine.as_view()),
    path("everybodys", Everybodys.as_view()),
    path("long", Long.as_view()),
    path("in-two-forms", InTwoForms.as_view()),
]


@pytest.fixture(autouse=True)
def server() -> Iterator[None]:
    with server_role():
        registry.store().marks.rise(version=1)
        yield
    cache.clear()
    stored.forget()
    fresh.forget()


def ask(client: Client, address: str, name: str | None = None) -> Any:
    return client.get(address, headers={} if name is None else {"x-name": name})


class TestAnswersForAnAccount:
    def test_are_that_accounts_alone(self, client: Client) -> None:
        answers = [ask(client, "/mine", name) for name in ("ada", "grace", None, "ada")]
        assert [answer.json()["name"] for answer in answers] == ["ada", "grace", "", "ada"]
        assert {answer["X-Data-Source"] for answer in answers} == {"live"}

    def test_are_left_to_no_cache_in_front(self, client: Client) -> None:
        assert ask(client, "/mine", "ada")["Cache-Control"] == "private, max-age=0"
        assert ask(client, "/mine")["Cache-Control"] == "private, max-age=0"


class TestAnswersForNobody:
    def test_are_stored_for_others_without_account_alone(self, client: Client) -> None:
        assert ask(client, "/mine").json() == {"name": ""}
        assert ask(client, "/mine")["X-Data-Source"] == "cached"
        assert ask(client, "/mine", "ada").json() == {"name": "ada"}


class TestAnswersForEverybody:
    def test_are_shared(self, client: Client) -> None:
        first, second = ask(client, "/everybodys", "ada"), ask(client, "/everybodys", "grace")
        assert (first["X-Data-Source"], second["X-Data-Source"]) == ("live", "cached")
        assert "s-maxage" in second["Cache-Control"]

    def test_are_whole_where_another_middleware_compresses_them(self, settings: Settings) -> None:
        first, *others = settings.MIDDLEWARE
        settings.MIDDLEWARE = [first, "django.middleware.gzip.GZipMiddleware", *others]
        client = Client()
        for source in ("live", "cached", "cached"):
            answer = client.get("/long", headers={"accept-encoding": "gzip"})
            assert (answer["X-Data-Source"], answer["Content-Encoding"]) == (source, "gzip")
            assert json.loads(gzip.decompress(answer.content)) == {"name": "everybody" * 100}

    def test_are_shared_by_those_who_take_the_same_form_alone(self, client: Client) -> None:
        """A browsable API answers a browser with a page, and others with JSON; `indent` is a form too."""
        asked = (
            "text/html",
            "application/json",
            "text/html",
            "*/*",
            "application/json; indent=2",
            "text/html",
        )
        answers = [client.get("/in-two-forms", headers={"accept": form}) for form in asked]
        assert [answer["Content-Type"].partition(";")[0] for answer in answers] == [
            "text/html" if form == "text/html" else "application/json" for form in asked
        ]
        assert [answer.content.count(b"\n") for answer in answers] == [0, 0, 0, 0, 2, 0]
        assert [answer["X-Data-Source"] for answer in answers] == [
            "live",
            "live",
            "cached",
            "cached",
            "live",
            "cached",
        ]
