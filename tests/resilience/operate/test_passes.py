"""Passes to the board: whose count, and when they end."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from resilience import conf, registry
from resilience.journal import events
from resilience.operate import passes
from resilience.registry import Registry
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


def pass_of(user: User, asked: float | None = None) -> Client:
    """Return a browser that has nothing but the pass of this user."""
    client, response = Client(), HttpResponse()
    given = passes.Pass(user.get_username(), "staff", str(user.pk))
    passes.give(response, given, at=time.time() if asked is None else asked)
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


class TestCopy:
    """A pass is a cookie: whoever has a copy of it has a pass."""

    @pytest.mark.parametrize("leave", [f"{BOARD}leave", "/admin/logout/"])
    def test_ends_when_its_holder_leaves_or_signs_out(self, ada: User, leave: str) -> None:
        copy, client = pass_of(ada), pass_of(ada)
        client.force_login(ada)
        client.post(leave)
        database_away()
        assert copy.get(BOARD).status_code == 403

    @pytest.mark.parametrize(
        "loss",
        [
            lambda ada: ada.user_permissions.clear(),
            lambda ada: ada.user_permissions.remove(Permission.objects.get(codename="steer_breakers")),
            lambda ada: ada.groups.remove(Group.objects.get()),
            lambda ada: Group.objects.get().permissions.clear(),
            lambda ada: Group.objects.get().user_set.clear(),
            lambda ada: Group.objects.get().delete(),
            lambda ada: User(pk=ada.pk, username="ada", is_staff=False).save(),
            lambda ada: ada.set_password("another") or ada.save(update_fields=["password"]),
            lambda ada: ada.delete(),
            lambda ada: User.objects.all().delete(),
        ],
    )
    def test_ends_with_what_its_holder_may(
        self,
        ada: User,
        loss: Callable[[User], object],
        django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[Any]],
    ) -> None:
        ada.groups.add(Group.objects.create(name="operators"))
        Group.objects.get().permissions.set(ada.user_permissions.all())
        copy = pass_of(ada)
        with django_capture_on_commit_callbacks(execute=True):
            loss(ada)
        database_away()
        assert copy.get(BOARD).status_code == 403

    def test_ends_when_the_board_finds_that_the_permission_is_lost(self, ada: User) -> None:
        copy, client = pass_of(ada), pass_of(ada)
        client.force_login(ada)
        User.objects.update(is_staff=False)  # which no signal tells of
        assert client.get(BOARD).status_code == 403
        database_away()
        assert copy.get(BOARD).status_code == 403

    def test_confirmed_before_a_loss_and_given_after_it_counts_for_nothing(self, ada: User) -> None:
        asked = time.time()
        passes.end(str(ada.pk))
        database_away()
        assert pass_of(ada, asked).get(BOARD).status_code == 403

    def test_goes_on_when_another_leaves_or_somebody_signs_in(
        self, ada: User, django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[Any]]
    ) -> None:
        copy, linus = pass_of(ada), User.objects.create_user("linus")
        with django_capture_on_commit_callbacks(execute=True):
            client = Client()
            client.force_login(ada)
            client.force_login(linus)
            client.post("/admin/logout/")
            linus.delete()
        database_away()
        assert copy.get(BOARD).status_code == 200

    def test_is_one_of_a_later_sign_in_counts_again(self, ada: User) -> None:
        passes.end(str(ada.pk))
        database_away()
        assert pass_of(ada).get(BOARD).status_code == 200

    def test_by_token_ends_alone(self, db: None, settings: Any) -> None:
        settings.OPS_TOKEN = "0123456789abcdef" * 2
        one, other = Client(), Client()
        for client in (one, other):
            client.post(f"{BOARD}enter", {"token": settings.OPS_TOKEN})
        copy = Client()
        copy.cookies[passes.COOKIE] = one.cookies[passes.COOKIE].value
        assert copy.get(BOARD).status_code == 200
        one.post(f"{BOARD}leave")
        assert [copy.get(BOARD).status_code, other.get(BOARD).status_code] == [403, 200]

    def test_whose_end_cannot_be_written_down_is_counted_and_said(
        self, ada: User, tmp_path: Path, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").touch()
        settings.RESILIENCE = settings.RESILIENCE | {"EVENTS_DIR": str(tmp_path / "file")}
        with server_role():
            passes.end(str(ada.pk))
            assert registry.store().counters.totals()["dropped", "end of a pass"] == 1
        assert "could not be written down" in caplog.text

    def test_leaves_no_trace_for_longer_than_a_pass_lasts(self, ada: User) -> None:
        passes.end("1")
        folder = conf.events_dir() / "passes"
        (old,) = folder.iterdir()
        long_ago = time.time() - passes.LASTS - 1
        os.utime(old, (long_ago, long_ago))
        passes.end("2")
        assert old not in folder.iterdir()
        assert len(list(folder.iterdir())) == 1


class TestCommand:
    """`manage.py changepassword` and the like, which may be run by root."""

    @pytest.fixture
    def folder(self) -> Iterator[Path]:
        before = registry.use(Registry())  # no server's
        yield conf.events_dir()
        registry.use(before)

    def test_makes_no_folder_before_a_server_does(self, folder: Path) -> None:
        passes.end("1")
        assert not folder.exists()

    def test_of_another_user_leaves_the_server_s_folder_alone(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder.mkdir()
        monkeypatch.setattr("resilience.operate.passes.os.geteuid", lambda: 12_345)
        passes.end("1")
        assert list(folder.iterdir()) == []
        assert "only the server's user may" in caplog.text
