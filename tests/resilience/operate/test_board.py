"""The board: who gets in, what its answers forbid browsers and caches, and that nobody else can order."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from resilience import faults, registry
from resilience.operate import passes
from resilience.primitives import Decision, Limits, State
from resilience.testing import server_role

TOKEN = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def _server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.OPS_TOKEN = TOKEN
    monkeypatch.setattr("resilience.steward.start", lambda: None)
    with server_role():
        yield


@pytest.fixture
def board() -> str:
    return reverse("resilience-board:board")


@pytest.fixture
def state(board: str) -> str:
    return reverse("resilience-board:state")


@pytest.fixture
def ada(db: None) -> User:
    user = User.objects.create_user("ada", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="steer_breakers"))
    return user


@pytest.fixture
def by_ada(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


class TestWhoGetsIn:
    def test_staff_with_the_permission_does(self, by_ada: Client, board: str, state: str) -> None:
        assert [by_ada.get(path).status_code for path in (board, state)] == [200, 200]

    @pytest.mark.parametrize("lacks", ["everything", "staff", "permission"])
    def test_nobody_else_does_nor_orders(
        self, client: Client, ada: User, board: str, state: str, lacks: str
    ) -> None:
        if lacks == "staff":
            User.objects.filter(pk=ada.pk).update(is_staff=False)
        if lacks == "permission":
            ada.user_permissions.clear()
        if lacks != "everything":
            client.force_login(ada)
        assert [client.get(path).status_code for path in (board, state)] == [403, 403]
        order = {"breakers": "cache", "action": "isolate", "reason": "mischief"}
        assert client.post(board, order).status_code == 403
        assert registry.breaker("cache").shown() is State.CLOSED

    def test_a_pass_follows_each_look_that_the_database_confirms(self, by_ada: Client, state: str) -> None:
        assert by_ada.get(state).cookies[passes.COOKIE]["max-age"] == passes.LASTS

    def test_a_pass_is_no_source_of_another(self, by_ada: Client, board: str, state: str) -> None:
        by_ada.get(board)
        registry.breaker("database").isolate(who="eve", why="a drill")
        answer = by_ada.get(state)
        assert answer.status_code == 200
        assert passes.COOKIE not in answer.cookies

    def test_signing_out_ends_the_pass(self, by_ada: Client, board: str) -> None:
        by_ada.get(board)
        assert by_ada.post(reverse("admin:logout")).cookies[passes.COOKIE].value == ""

    def test_the_form_takes_five_tokens_a_minute(self, client: Client) -> None:
        enter = reverse("resilience-board:enter")
        tried = [client.post(enter, {"token": "wrong"}).status_code for _ in range(6)]
        assert tried == [403] * 5 + [429]

    def test_the_form_tells_apart_who_comes_by_one_proxy(self, client: Client, settings: Any) -> None:
        settings.TRUSTED_PROXIES = ["10.0.0.0/8"]

        def enter(place: str, remote: str = "10.0.0.1") -> int:
            headers = {"X-Forwarded-For": place}
            address = reverse("resilience-board:enter")
            return client.post(address, {"token": "wrong"}, headers=headers, REMOTE_ADDR=remote).status_code

        assert [enter("203.0.113.9") for _ in range(6)] == [403] * 5 + [429]
        assert enter("203.0.113.10") == 403
        # What is no proxy of ours says nothing about where it comes from.
        assert [enter(f"203.0.113.{n}", "198.51.100.1") for n in range(6)] == [403] * 5 + [429]

    def test_a_token_that_cannot_be_counted_is_tried_and_said_so(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(Limits, "hit", lambda *_: Decision(allowed=True, retry_after=0.0, counted=False))
        assert client.post(reverse("resilience-board:enter"), {"token": TOKEN}).status_code == 302
        assert registry.store().counters.totals()["limits", "board", "uncounted"] == 1
        assert "could not be counted" in caplog.text

    def test_a_typed_token_lets_in_until_it_is_changed(
        self, client: Client, board: str, settings: Any
    ) -> None:
        client.post(reverse("resilience-board:enter"), {"token": TOKEN})
        assert client.get(board).status_code == 200
        settings.OPS_TOKEN = TOKEN[::-1]
        assert client.get(board).status_code == 403


class TestAnswers:
    @pytest.mark.parametrize("name", ["board", "state"])
    @pytest.mark.parametrize("signed_in", [True, False])
    def test_are_kept_by_no_cache_and_shown_in_no_frame(
        self, client: Client, ada: User, name: str, signed_in: bool
    ) -> None:
        if signed_in:
            client.force_login(ada)
        answer = client.get(reverse(f"resilience-board:{name}"))
        assert "no-store" in answer["Cache-Control"]
        assert answer["X-Frame-Options"] == "DENY"

    def test_have_no_script_or_style_within(self, by_ada: Client, board: str) -> None:
        page = by_ada.get(board).content.decode()
        assert "<style" not in page
        assert " style=" not in page
        assert page.count("<script") == page.count('<script type="module" src="')

    def test_say_what_is_in_a_reason_and_run_none_of_it(self, by_ada: Client, board: str) -> None:
        registry.breaker("cache").isolate(who="eve", why="<script>alert(1)</script>")
        assert "&lt;script&gt;alert(1)" in by_ada.get(board).content.decode()

    def test_tell_all_that_the_page_draws(self, by_ada: Client, state: str) -> None:
        found = by_ada.get(state).json()
        assert [one["name"] for one in found["breakers"]] == list(registry.breakers())
        assert len(found["answers"]) == 60
        assert {name: len(minutes) for name, minutes in found["rates"].items()} == dict.fromkeys(
            registry.breakers(), 60
        )
        assert {"health", "breakers", "rates", "drills", "answers", "events"} == found.keys()


class TestDrills:
    @pytest.fixture(autouse=True)
    def drills(self, settings: Any) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": True}

    @pytest.mark.parametrize(
        ("fault", "what"),
        [
            ({"kind": "error"}, "all calls fail"),
            ({"kind": "hang", "share": 0.25}, "25 % of the calls hang"),
            ({"kind": "latency", "seconds": 1.5}, "all calls take 1.5 s longer"),
            ({"kind": "flap", "seconds": 2}, "all calls fail and go through in turn, 2 s each"),
            ({"kind": "kill"}, "its server was killed"),
            ({"kind": "freeze"}, "its server is frozen"),
        ],
    )
    def test_are_told_in_words_until_they_end(
        self, by_ada: Client, board: str, state: str, fault: dict[str, Any], what: str
    ) -> None:
        faults.start("cache", lasts=60, who="<grace>", **fault)
        (told,) = by_ada.get(state).json()["drills"]
        assert told.pop("secondsLeft") in (59, 60)
        assert told == {"breaker": "cache", "what": what, "who": "<grace>"}
        page = by_ada.get(board).content.decode()
        assert f"{what}, by &lt;grace&gt;" in page
        faults.stop("cache")
        assert by_ada.get(state).json()["drills"] == []
        assert what not in by_ada.get(board).content.decode()


class TestOrders:
    @pytest.mark.parametrize("path", ["board", "enter", "leave"])
    def test_need_the_page_s_own_form(self, ada: User, path: str) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(ada)
        order = {"breakers": "cache", "action": "isolate", "reason": "mischief", "token": TOKEN}
        assert client.post(reverse(f"resilience-board:{path}"), order).status_code == 403
        assert registry.breaker("cache").shown() is State.CLOSED

    def test_are_carried_out_with_reason_and_end(self, by_ada: Client, board: str) -> None:
        order = {"breakers": ["cache", "auth"], "action": "isolate", "reason": "a drill", "end": "10"}
        assert by_ada.post(board, order).status_code == 302
        for name in ("cache", "auth"):
            found = registry.breaker(name).snapshot().override
            assert found is not None
            assert (found.who, found.why) == ("ada", "a drill")
            assert found.until is not None
            assert found.until - found.since == pytest.approx(600, abs=2)

    @pytest.mark.parametrize(
        "order",
        [
            {"action": "reset"},
            {"breakers": "cache", "action": "isolate"},
            {"breakers": "cache", "action": "explode", "reason": "x"},
            {"breakers": "nothing", "action": "reset"},
            {"breakers": "cache", "action": "isolate", "reason": "x", "end": "-5"},
        ],
    )
    def test_that_make_no_sense_are_refused_with_a_word(
        self, by_ada: Client, board: str, order: dict[str, str]
    ) -> None:
        answer = by_ada.post(board, order)
        assert answer.status_code == 400
        assert 'role="alert"' in answer.content.decode()
        assert registry.breaker("cache").shown() is State.CLOSED
