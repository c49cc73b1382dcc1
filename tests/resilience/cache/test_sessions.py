"""Sessions in the cache alone: without it a request that needs one is a 503, and nobody is signed out."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.sessions.backends.cache import SessionStore
from django.contrib.sessions.backends.cached_db import KEY_PREFIX as CACHED_DB
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.cache import caches
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from resilience import registry
from resilience.cache.sessions import SessionAwayError
from resilience.middleware import ResilienceMiddleware
from resilience.testing import server_role
from tests.resilience.wire import taking_at_most


@pytest.fixture(autouse=True)
def _in_cache(settings: Any) -> Iterator[None]:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    settings.CACHES = {
        "default": {
            "BACKEND": "resilience.cache.ResilientCache",
            "LOCATION": "sessions",
            "OPTIONS": {"INNER": "django.core.cache.backends.locmem.LocMemCache"},
        }
    }
    with server_role():
        yield
        registry.breaker("cache").reset()
        caches["default"].clear()


def answer(view: Callable[[HttpRequest], HttpResponse], cookie: str = "") -> HttpResponse:
    """Answer a request by this view, behind the middleware that sessions need."""
    request = RequestFactory().get("/page", HTTP_HOST="localhost")
    if cookie:
        request.COOKIES["sessionid"] = cookie
    handled: Any = ResilienceMiddleware(SessionMiddleware(_caught(view)))(request)
    assert isinstance(handled, HttpResponse)
    return handled


def _caught(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Turn the view's exceptions into answers as Django's handler does."""
    from django.core.handlers.exception import convert_exception_to_response

    found: Any = convert_exception_to_response(view)
    return found  # type: ignore[no-any-return]


def shows(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.session.get("name", "nobody")))


def signs_in(request: HttpRequest) -> HttpResponse:
    request.session.cycle_key()
    request.session["name"] = "ada"
    return HttpResponse("welcome")


def signs_out(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return HttpResponse("bye")


def stored() -> str:
    session = SessionStore()
    session["name"] = "ada"
    session.create()
    return str(session.session_key)


def isolate() -> None:
    registry.breaker("cache").isolate(who="test", why="test")


class TestSession:
    def test_works_while_the_cache_does(self) -> None:
        key = stored()

        assert answer(shows, key).content == b"ada"
        assert answer(shows, "unknown" * 5).content == b"nobody"
        assert answer(signs_in).cookies["sessionid"].value

    @pytest.mark.parametrize("view", [shows, signs_in, signs_out])
    def test_is_soon_a_503_while_the_cache_is_away_and_keeps_its_cookie(
        self, view: Callable[[HttpRequest], HttpResponse]
    ) -> None:
        key = stored()
        isolate()

        with taking_at_most(0.3):
            response = answer(view, key)
        assert response.status_code == 503
        assert response["Retry-After"]
        assert "sessionid" not in response.cookies
        registry.breaker("cache").auto(who="test", why="test")
        assert answer(shows, key).content == b"ada"

    def test_of_a_new_visitor_who_signs_in_is_a_503_too(self) -> None:
        isolate()

        with taking_at_most(0.3):
            assert answer(signs_in).status_code == 503

    def test_that_nobody_looks_at_does_not_matter(self) -> None:
        isolate()

        assert answer(lambda request: HttpResponse("page"), "a" * 32).content == b"page"

    def test_says_so_to_coroutines(self) -> None:
        isolate()

        async def created() -> None:
            await SessionStore().acreate()

        with taking_at_most(0.5), pytest.raises(SessionAwayError):
            asyncio.run(created())

    def test_of_a_store_of_the_projects_own_is_known_by_its_prefix(self, settings: Any) -> None:
        settings.SESSION_ENGINE = "tests.resilience.cache.own_sessions"
        isolate()

        with pytest.raises(SessionAwayError):
            caches["default"].get("ours:abc")
        assert caches["default"].get("other") is None
        assert "resilience.W024" in {one.id for one in run_checks(tags=["resilience"])}

    def test_that_has_the_database_behind_the_cache_is_read_there(self) -> None:
        isolate()
        cache = caches["default"]

        assert cache.get(f"{CACHED_DB}abc") is None
        assert cache.get("other") is None
        with pytest.raises(SessionAwayError):
            cache.get("django.contrib.sessions.cacheabc")

    def test_has_an_id_that_no_log_and_no_error_tells(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("DEBUG")
        key = stored()
        cache: Any = caches["default"]
        cache.inner.set(f"django.contrib.sessions.cache{key}", b"not ours")

        for _ in range(3):
            assert answer(shows, key).content == b"nobody"
        with pytest.raises(TypeError, match="object") as raised:
            cache.set(f"django.contrib.sessions.cache{key}", object())
        assert key not in caplog.text + str(raised.value)
        assert caplog.text.count("taken for missing") == 1
        assert registry.store().counters.totals()["calls", "cache", "decode", "failure"] >= 3
