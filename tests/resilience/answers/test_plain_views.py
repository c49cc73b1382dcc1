"""Plain views: which tier answers them, what of them is stored, what a degraded page says."""

import asyncio
import gzip
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import AsyncClient, Client
from pytest_django import Settings

from learn.models import Course
from resilience import registry
from resilience.answers.checks import check_marks
from resilience.tiers import not_stored
from tests.leaks.conftest import server as server
from tests.resilience.answers import plain_site
from tests.resilience.answers.plain_site import WRITTEN, in_transaction

pytestmark = pytest.mark.urls(plain_site.__name__)


@pytest.fixture(autouse=True)
def site(server: None, settings: Settings) -> None:
    settings.ROOT_URLCONF = plain_site.__name__
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{plain_site.__name__}.keep_user"]


@pytest.fixture
def outage() -> Callable[[], None]:
    """Return what begins an outage, in which nothing that was stored is current."""

    def begin() -> None:
        marks = registry.store().marks
        marks.rise(version=marks.read().version + 1)
        registry.breaker("database").isolate(who="ada", why="for the test")

    return begin


def sources(client: Client, address: str, times: int = 2, **headers: Any) -> list[str]:
    answers = [client.get(address, headers=headers) for _ in range(times)]
    assert {answer.status_code for answer in answers} == {200}
    return [answer["X-Data-Source"] for answer in answers]


SHARED = (
    *("/function", "/courses", "/courses/jazz", "/async", "/own-get/1", "/moment", "/unmarked"),
    *(
        "/of-parts",
        "/of-async-parts",
        "/with-actions",
        "/public",
        "/conditional",
        "/compressed-outside",
        "/by-tenant",
    ),
)
NOT_SHARED = {
    "/form": "csrf",
    "/token": "csrf",
    "/lazily": "account",
    "/account-in-async": "account",
    "/told": "messages",
    "/telling": "messages",
    "/session": "session",
    "/cookie": "cookie",
    "/cookie-from-meta": "cookie",
    "/from-headers": "header",
    "/all-headers": "header",
    "/from-environ": "header",
    "/from-dict": "attribute",
    "/of-middleware": "attribute",
    "/setting-cookie": "sets_cookie",
    "/streaming": "account",
    "/never": "cache_control",
    "/private": "cache_control",
    "/varying": "vary",
    "/compressed": "header",
    "/of-users": "model",
    "/joined": "model",
    "/blocking": "attribute",
    "/exempt": "response_attribute",
    "/of-held-user": "account",
    "/of-held-session": "session",
    "/rooming": "wrote",
    "/rooming-by-alias": "wrote",
    "/cookie-in-header": "sets_cookie",
}


class TestStored:
    @pytest.mark.parametrize("address", SHARED)
    def test_is_what_was_read_for_nobody_in_particular(self, address: str, client: Client) -> None:
        assert sources(client, address) == ["live", "cached"]

    @pytest.mark.parametrize("address", NOT_SHARED)
    def test_is_nothing_that_belongs_to_one_client(self, address: str, client: Client) -> None:
        assert sources(client, address) == ["live", "live"]
        counted = registry.store().counters.totals()
        reasons = {labels[1] for labels in counted if labels[0] == "not_stored"}
        assert reasons <= set(not_stored.REASONS)
        expected = NOT_SHARED[address]
        assert expected in reasons or reasons & {"session", "cookie"}

    def test_is_another_answer_in_another_language_zone_and_by_another_host(
        self, client: Client, settings: Settings
    ) -> None:
        settings.ALLOWED_HOSTS = ["testserver", "other.example"]
        texts = []
        for language, zone, host in (
            ("en", "UTC", "testserver"),
            ("de", "UTC", "testserver"),
            ("en", "Asia/Tokyo", "testserver"),
            ("en", "UTC", "other.example"),
        ):
            client.cookies["zone"] = zone
            answer = client.get("/moment", headers={"accept-language": language, "host": host})
            assert answer["X-Data-Source"] == "live"
            texts.append(answer.content)
        assert len(set(texts)) == 4

    def test_is_another_answer_by_a_header_that_the_view_names(self, client: Client) -> None:
        answers = [client.get("/by-tenant", headers={"x-tenant": name}) for name in ("a", "b", "a")]
        assert [answer.content for answer in answers] == [b"tenant: a", b"tenant: b", b"tenant: a"]
        assert [answer["X-Data-Source"] for answer in answers] == ["live", "live", "cached"]
        assert {answer["Vary"].lower() for answer in answers} >= {"x-tenant, accept-language"}

    def test_is_another_answer_by_what_middleware_and_a_dispatcher_make_of_a_request(
        self, client: Client
    ) -> None:
        texts = []
        for shown, which in (("x", "a"), ("y", "a"), ("y", "b"), ("x", "a")):
            client.cookies.load({"shown": shown, "which": which})
            texts.append(client.get("/switch").text)
        assert texts == ["a: shown=x /switchx", "a: shown=y /switchy", "b: shown=y /switchy", texts[0]]

    def test_keeps_who_may_keep_it(self, client: Client, outage: Callable[[], None]) -> None:
        said = [client.get("/public")["Cache-Control"] for _ in range(2)]
        assert said == ["max-age=60, public"] * 2
        outage()
        assert client.get("/public")["Cache-Control"] == "no-cache"

    def test_is_an_old_one_after_a_write(self, client: Client) -> None:
        client.get("/function")
        Course.objects.create(title="Blues", field=Course.objects.get().field)
        answer = client.get("/function")
        assert answer["X-Data-Source"] == "live"
        assert b"Blues" in answer.content

    def test_is_no_answer_to_head(self, client: Client) -> None:
        client.head("/function")
        assert sources(client, "/function") == ["live", "cached"]
        assert client.head("/function")["X-Data-Source"] == "cached"

    def test_tells_the_cause_once_when_it_is_not(
        self, client: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "resilience.tiers")
        sources(client, "/cookie", 3)
        said = [line for line in caplog.messages if "is not stored for others" in line]
        assert said == ["the answer of tests.leaks.site.cookie is not stored for others (cookie): COOKIES"]


class TestOutage:
    def test_is_answered_from_what_was_stored(self, client: Client, outage: Callable[[], None]) -> None:
        client.get("/function")
        outage()
        answer = client.get("/function")
        assert answer["X-Data-Source"] == "cached"
        assert answer["X-System-Degraded"] == "true"
        assert b"Jazz" in answer.content

    @pytest.mark.parametrize("address", [*SHARED, "/form", "/lazily", "/session", "/cookie", "/told"])
    def test_is_answered_from_the_copy(
        self, address: str, client: Client, outage: Callable[[], None]
    ) -> None:
        outage()
        answer = client.get(address, headers={"cookie": "flavour=vanilla; sessionid=abcdefgh12345678"})
        assert (answer.status_code, answer["X-Data-Source"]) == (200, "static")
        assert b"vanilla" not in answer.content
        assert not answer.cookies

    def test_signs_nobody_out(self, client: Client, outage: Callable[[], None], settings: Settings) -> None:
        settings.SESSION_SAVE_EVERY_REQUEST = True
        lovelace = User.objects.create_user("lovelace")
        client.force_login(lovelace)
        key = client.cookies["sessionid"].value
        outage()
        answer = client.get("/lazily")
        assert answer["X-Data-Source"] == "static"
        assert b"lovelace" not in answer.content
        assert client.cookies["sessionid"].value == key
        registry.breaker("database").reset()
        assert b"lovelace" in client.get("/lazily").content

    def test_leaves_no_trace_of_the_attempt_that_failed(
        self, client: Client, outage: Callable[[], None]
    ) -> None:
        client.force_login(User.objects.create_user("lovelace"))
        outage()
        answer = client.get("/failing-late")
        assert answer["X-Data-Source"] == "static"
        registry.breaker("database").reset()
        assert "seen" not in client.session

    def test_is_503_for_what_the_copy_does_not_hold(self, client: Client, outage: Callable[[], None]) -> None:
        assert client.get("/courses/polka").status_code == 404
        outage()
        answer = client.get("/courses/polka")
        assert answer.status_code == 503
        assert answer["Content-Type"].startswith("text/html")
        assert "Retry-After" in answer

    def test_is_503_for_a_view_that_is_not_the_same_for_everybody(
        self, client: Client, outage: Callable[[], None]
    ) -> None:
        assert client.get("/mine").content == b"mine: AnonymousUser"
        outage()
        answer = client.get("/mine")
        assert answer.status_code == 503
        assert b"Back in a moment" in answer.content  # though no loader looks into the apps

    def test_sets_no_cookie_by_a_header(self, client: Client, outage: Callable[[], None]) -> None:
        outage()
        answer = client.get("/cookie-in-header")
        assert answer["X-Data-Source"] == "static"
        assert not answer.has_header("Set-Cookie")

    @pytest.mark.parametrize("address", ["/for-members", "/for-basket", "/forbidding", "/of-part-of-one"])
    def test_is_503_for_what_nobody_is_refused(
        self, address: str, client: Client, outage: Callable[[], None]
    ) -> None:
        client.force_login(User.objects.create_user("lovelace"))
        outage()
        answer = client.get(address)
        assert answer.status_code == 503
        assert "Retry-After" in answer

    def test_is_503_for_a_stream(self, client: Client, outage: Callable[[], None]) -> None:
        outage()
        assert client.get("/streaming").status_code == 503

    def test_hides_no_bug(self, client: Client, outage: Callable[[], None]) -> None:
        for _ in range(2):
            with pytest.raises(ValueError, match="a bug"):
                client.get("/broken")
            outage()

    def test_keeps_redirects(self, client: Client, outage: Callable[[], None]) -> None:
        outage()
        assert client.get("/redirecting")["Location"] == "/elsewhere"

    def test_is_kept_by_no_cache_page(self, client: Client, outage: Callable[[], None]) -> None:
        outage()
        for address in ("/cached-outside", "/cached-inside"):
            assert client.get(address)["X-Data-Source"] == "static"
        registry.breaker("database").reset()
        for address in ("/cached-outside", "/cached-inside"):
            assert client.get(address)["X-Data-Source"] == "live"

    def test_gives_the_whole_page_under_a_condition(self, client: Client, outage: Callable[[], None]) -> None:
        assert client.get("/conditional", headers={"if-none-match": '"one"'}).status_code == 304
        outage()
        answer = client.get("/conditional", headers={"if-none-match": '"one"'})
        assert (answer.status_code, answer.content) == (200, b"conditional")
        tag = answer["ETag"]
        assert tag != '"one"'
        assert client.get("/conditional", headers={"if-none-match": tag}).status_code == 304


class TestNotice:
    def test_is_filled_when_the_page_is_given_out(self, client: Client, outage: Callable[[], None]) -> None:
        live, again = client.get("/function"), client.get("/function")
        assert live.content == again.content
        assert b"<!--resilience" not in live.content
        outage()
        page = client.get("/function")
        assert page.content.count(b'<p class="resilience-degradation"') == 1
        assert b"The database is not available at the moment. This answer was kept" in page.content
        assert int(page["Content-Length"]) == len(page.content)
        registry.breaker("database").reset()
        assert client.get("/function").content == live.content

    def test_takes_no_place_that_a_reader_has_written(
        self, client: Client, outage: Callable[[], None]
    ) -> None:
        assert WRITTEN in client.get("/commented").text
        outage()
        for address in ("/commented", "/commented?other"):
            page = client.get(address)
            assert (page["X-System-Degraded"], page.text.count(WRITTEN)) == ("true", 1)
            assert page.text.count("resilience-degradation") == 1

    def test_is_that_of_the_moment_for_a_stored_page(
        self, client: Client, outage: Callable[[], None]
    ) -> None:
        client.get("/function")
        outage()
        pages = [client.get("/function").content for _ in range(2)]
        assert [page.count(b"resilience-degradation") for page in pages] == [1, 1]

    def test_is_in_headers_alone_where_there_is_no_mark(
        self, client: Client, outage: Callable[[], None]
    ) -> None:
        outage()
        page = client.get("/unmarked")
        assert page.content == b"<html><body>unmarked</body></html>"
        assert page["X-Degraded-Reason"] == "unavailable"

    def test_is_a_member_of_json_and_in_no_other_text(
        self, client: Client, outage: Callable[[], None]
    ) -> None:
        outage()
        assert client.get("/own-get/1").json()["degradation"]["source"] == "static"
        assert client.get("/braces").content == b"{no JSON}"

    def test_is_in_no_compressed_page(self, client: Client, outage: Callable[[], None]) -> None:
        outage()
        answer = client.get("/compressed", headers={"accept-encoding": "gzip"})
        assert gzip.decompress(answer.content) == b"compressed " * 100

    def test_has_its_place_or_the_check_says_so(self) -> None:
        said = [found.msg for found in check_marks() if "tests.leaks" in found.msg]
        assert said == [
            "The page of tests.leaks.site.Unmarked has no place for a notice in an outage: unmarked.html."
        ]


class TestAtomicRequests:
    @pytest.fixture(autouse=True)
    def atomic_requests(self, monkeypatch: pytest.MonkeyPatch) -> None:
        in_transaction.clear()
        monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)

    def test_are_kept_within_the_live_tier(self, client: Client, outage: Callable[[], None]) -> None:
        assert client.get("/atomic")["X-Data-Source"] == "live"
        outage()
        client.get("/atomic?other")
        assert in_transaction == [True, False]

    def test_are_kept_within_the_live_tier_of_a_view_of_rest_framework(
        self, client: Client, outage: Callable[[], None]
    ) -> None:
        assert client.get("/of-rest")["X-Data-Source"] == "live"
        outage()
        assert client.get("/of-rest?other")["X-Data-Source"] == "static"
        assert in_transaction == [True, False]

    def test_are_left_by_an_async_view_that_asks_for_it(self, client: Client) -> None:
        assert client.get("/async-without-transaction")["X-Data-Source"] == "live"
        assert in_transaction == [False]

    def test_are_kept_for_writes(self, client: Client) -> None:
        with pytest.raises(ValueError, match="after the write"):
            client.post("/writing")
        assert in_transaction == [True]
        assert Course.objects.count() == 1


class TestAsync:
    def test_is_answered_by_each_tier_under_asgi(self, outage: Callable[[], None]) -> None:
        async def ask() -> list[str]:
            client = AsyncClient()
            found = [(await client.get("/async"))["X-Data-Source"] for _ in range(2)]
            outage()
            return [
                *found,
                (await client.get("/async"))["X-Data-Source"],
                (await client.get("/async?b"))["X-Data-Source"],
            ]

        assert asyncio.run(ask()) == ["live", "cached", "cached", "static"]
