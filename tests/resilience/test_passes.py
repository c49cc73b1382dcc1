"""Passes to the board: whose count, and when they end."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from resilience import passes, registry
from resilience.observe import events
from resilience.testing import server_role

BOARD, STATE = "/admin/resilience/board/", "/admin/resilience/board/state.json"


@pytest.fixture(autouse=True)
def _server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("resilience.steward.start", lambda: None)
    with server_role():
        yield


@pytest.fixture
def ada(db: None) -> User:
    user = User.objects.create_user("ada", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="steer_breakers"))
    return user


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(events, "record", lambda kind, **more: found.append({"kind": kind, **more}))
    return found


def database_away() -> None:
    registry.breaker("database").isolate(who="eve", why="a drill")


def pass_of(user: User) -> Client:
    """Return a browser that has nothing but the pass of this user."""
    client, response = Client(), HttpResponse()
    passes.give(response, user.get_username(), "staff")
    client.cookies[passes.COOKIE] = response.cookies[passes.COOKIE].value
    return client


class TestPass:
    @pytest.mark.parametrize(("away", "status"), [(True, 200), (False, 403)])
    @pytest.mark.parametrize("address", [BOARD, STATE])
    def test_lets_in_only_while_the_database_is_away(
        self, ada: User, away: bool, status: int, address: str
    ) -> None:
        if away:
            database_away()
        assert pass_of(ada).get(address).status_code == status

    def test_that_was_tampered_with_lets_nobody_in(self, ada: User) -> None:
        client = pass_of(ada)
        body, _, signature = client.cookies[passes.COOKIE].value.partition(":")
        client.cookies[passes.COOKIE] = f"{body[:-1]}A:{signature}"
        database_away()
        assert client.get(BOARD).status_code == 403

    def test_made_with_another_key_lets_nobody_in(self, ada: User, settings: Any) -> None:
        client = pass_of(ada)
        settings.SECRET_KEY = "another" * 10
        database_away()
        assert client.get(BOARD).status_code == 403

    def test_ends_when_its_holder_leaves_or_signs_out(self, ada: User) -> None:
        for leave in (f"{BOARD}leave", reverse("admin:logout")):
            client = pass_of(ada)
            client.force_login(ada)
            taken = client.post(leave).cookies[passes.COOKIE]
            assert (taken.value, taken["max-age"], taken["path"]) == ("", 0, BOARD)

    def test_ends_when_the_database_says_the_permission_is_lost(self, ada: User) -> None:
        client = pass_of(ada)
        client.force_login(ada)
        ada.user_permissions.clear()
        taken = client.get(BOARD).cookies[passes.COOKIE]
        assert (taken.value, taken["max-age"]) == ("", 0)

    def test_is_written_down_each_time(self, ada: User, recorded: list[dict[str, Any]]) -> None:
        database_away()
        recorded.clear()
        pass_of(ada).get(BOARD)
        assert [(event["kind"], event["who"]) for event in recorded] == [("pass", "ada")]
