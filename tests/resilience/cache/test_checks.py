"""`manage.py check` says which caches are to hold what they cannot, and that sessions need more."""

from typing import Any

import pytest
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_page, never_cache

GUARDED = {
    "BACKEND": "resilience.cache.ResilientCache",
    "OPTIONS": {"INNER": "django.core.cache.backends.locmem.LocMemCache"},
}
SIGNED = {"BACKEND": GUARDED["BACKEND"], "OPTIONS": {**GUARDED["OPTIONS"], "VALUES": "signed"}}  # type: ignore[dict-item]


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@method_decorator(cache_page(60, cache="pages"), name="dispatch")
class Page(View):
    pass


async def awaited(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def found() -> list[tuple[str | None, str]]:
    return [(one.id, one.msg) for one in run_checks(tags=["resilience"])]


@pytest.fixture(autouse=True)
def _caches(settings: Any) -> None:
    settings.CACHES = {"default": GUARDED, "pages": GUARDED}


class TestPages:
    @pytest.mark.parametrize("name", ["UpdateCacheMiddleware", "FetchFromCacheMiddleware"])
    def test_in_a_cache_of_json_are_an_error(self, settings: Any, name: str) -> None:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"django.middleware.cache.{name}"]
        ((ident, message),) = found()

        assert ident == "resilience.E023"
        assert "CACHES['default']" in message
        settings.CACHES = {"default": SIGNED, "pages": GUARDED}
        assert found() == []

    @pytest.mark.parametrize(
        "decorated",
        [
            cache_page(60, cache="pages")(view),
            never_cache(cache_page(60, cache="pages")(view)),
            cache_page(60, cache="pages")(awaited),
            cache_page(60, cache="pages")(Page.as_view()),
            Page.as_view(),
        ],
    )
    def test_of_one_view_are_found_by_its_decorator(self, settings: Any, decorated: Any) -> None:
        settings.ROOT_URLCONF = (path("page", decorated),)
        ((ident, message),) = found()

        assert ident == "resilience.E023"
        assert "CACHES['pages']" in message

    def test_that_are_not_kept_here_are_none_of_this(self, settings: Any) -> None:
        settings.ROOT_URLCONF = (path("page", never_cache(view)),)

        assert found() == []


class TestSessions:
    def test_in_the_cache_alone_are_warned_of(self, settings: Any) -> None:
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
        assert [ident for ident, _ in found()] == ["resilience.W024"]

        settings.SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
        assert found() == []

    def test_of_more_than_json_need_signed_values(self, settings: Any) -> None:
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
        settings.SESSION_SERIALIZER = "project.PickleSerializer"

        assert [ident for ident, _ in found()] == ["resilience.E023", "resilience.W024"]
