"""Who may steer: the table of cases, one by one."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.core import signing
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.test.client import MULTIPART_CONTENT
from django.urls import reverse
from psycopg.errors import AdminShutdown
from rest_framework.authentication import SessionAuthentication

from resilience import registry
from resilience.answers import accounts
from resilience.operate import passes
from resilience.operate.permissions import NobodyError, may_steer
from resilience.primitives import State
from resilience.testing import server_role
from zenow.accounts import access

TOKEN = "0123456789abcdef" * 2
PATH = "/api/admin/circuit-breakers"
RESET = "/api/admin/reset-circuit-breakers"


@pytest.fixture(autouse=True)
def _server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.OPS_TOKEN = TOKEN
    monkeypatch.setattr("resilience.steward.start", lambda: None)
    with server_role():
        yield


@pytest.fixture
def ada(db: None) -> User:
    user = User.objects.create_user("ada", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="steer_breakers"))
    return user


def bearer(user: User) -> dict[str, str]:
    return {"authorization": f"Bearer {access.mint(user)}"}


def both(client: Client, **options: Any) -> list[int]:
    """Look and steer; return what was answered to each."""
    return [client.get(PATH, **options).status_code, client.post(RESET, **options).status_code]


class TestStaff:
    def test_with_the_permission_may(self, client: Client, ada: User) -> None:
        assert both(client, headers=bearer(ada)) == [200, 200]

    @pytest.mark.parametrize("lacks", ["permission", "staff"])
    def test_without_permission_or_no_staff_may_not(self, client: Client, ada: User, lacks: str) -> None:
        if lacks == "permission":
            ada.user_permissions.clear()
        else:
            User.objects.filter(pk=ada.pk).update(is_staff=False)
        assert both(client, headers=bearer(ada)) == [403, 403]

    def test_who_was_deactivated_is_out_at_once_for_looking_too(self, client: Client, ada: User) -> None:
        headers = bearer(ada)
        User.objects.filter(pk=ada.pk).update(is_active=False)
        assert both(client, headers=headers) == [401, 401]

    def test_a_session_does_not_count_here(self, client: Client, ada: User) -> None:
        client.force_login(ada)
        assert both(client) == [401, 401]

    def test_cannot_be_looked_up_while_the_database_is_away(
        self, client: Client, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: object) -> None:
            raise OperationalError from AdminShutdown()

        headers = bearer(ada)
        monkeypatch.setattr("zenow.accounts.authentication._account", away)
        response = client.post(RESET, headers=headers)
        assert response.status_code == 503
        assert "OPS_TOKEN" in response.json()["detail"]
        assert int(response["Retry-After"]) >= 1


class TestSessionsOfAnotherSite:
    """A site whose authentication of Django REST framework takes sessions."""

    @pytest.fixture
    def browser(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> Client:
        monkeypatch.setattr(accounts._Asked, "authentication_classes", [SessionAuthentication])
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(ada)
        browser.cookies["csrftoken"] = "c" * 32
        return browser

    def test_need_the_token_against_forgery(self, browser: Client) -> None:
        assert both(browser) == [403, 403]

    def test_steer_with_it_in_a_header(self, browser: Client) -> None:
        assert both(browser, headers={"X-CSRFToken": "c" * 32}) == [200, 200]

    @pytest.mark.parametrize("kind", [MULTIPART_CONTENT, "application/x-www-form-urlencoded"])
    def test_steer_with_it_in_the_form_which_is_read_all_the_same(self, browser: Client, kind: str) -> None:
        form: Any = {"csrfmiddlewaretoken": "c" * 32, "breakers": "cache"}
        said = urlencode(form) if kind != MULTIPART_CONTENT else form
        response = browser.post(RESET, said, kind)
        assert response.status_code == 400
        assert [error["pointer"] for error in response.json()["errors"]] == ["#/csrfmiddlewaretoken"]

    def test_that_are_not_there_are_403_without_a_challenge(self, client: Client, browser: Client) -> None:
        response = client.get(PATH)
        assert (response.status_code, response.headers.get("WWW-Authenticate")) == (403, None)


class TestToken:
    def test_may_without_any_account(self, client: Client) -> None:
        assert both(client, headers={"authorization": f"Bearer {TOKEN}"}) == [200, 200]

    @pytest.mark.parametrize("given", [TOKEN[:-1], TOKEN + "0", "", "é"])
    def test_another_one_may_not(self, client: Client, given: str) -> None:
        response = client.post(RESET, headers={"authorization": f"Bearer {given}"})
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer")

    def test_an_unset_one_matches_nothing(self, client: Client, settings: Any) -> None:
        settings.OPS_TOKEN = ""
        assert both(client, headers={"authorization": "Bearer "}) == [401, 401]


class TestPass:
    """At the board, whose page the API's table covers too."""

    @pytest.fixture
    def board(self) -> str:
        return reverse("resilience-board:board")

    def signed_in(self, client: Client, user: User) -> None:
        """Come to the board as the database has it, which gives a pass, and lose the session."""
        client.force_login(user)
        response = client.get(reverse("resilience-board:board"))
        assert response.status_code == 200
        cookie = response.cookies[passes.COOKIE]
        assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Strict", 3600)
        assert cookie["path"] == reverse("resilience-board:board")
        del client.cookies["sessionid"]

    def away(self) -> None:
        registry.breaker("database").isolate(who="eve", why="a drill")

    def test_counts_only_while_the_database_cannot_be_asked(
        self, client: Client, ada: User, board: str
    ) -> None:
        self.signed_in(client, ada)
        self.away()
        assert client.get(board).status_code == 200
        registry.breaker("database").reset()
        assert client.get(board).status_code == 403

    def test_steers_and_is_named_so(self, client: Client, ada: User, board: str) -> None:
        self.signed_in(client, ada)
        self.away()
        order = {"breakers": "cache", "action": "isolate", "reason": "a drill"}
        assert client.post(board, order).status_code == 302
        found = registry.breaker("cache").snapshot().override
        assert found is not None
        assert found.who == "ada (by pass)"

    def test_is_given_to_nobody_without_the_permission(self, client: Client, ada: User, board: str) -> None:
        ada.user_permissions.clear()
        client.force_login(ada)
        response = client.get(board)
        assert response.status_code == 403
        assert response.cookies[passes.COOKIE].value == ""  # and one of before is taken away

    def test_is_no_credential_of_the_api(self, client: Client, ada: User) -> None:
        self.signed_in(client, ada)
        self.away()
        assert both(client) == [401, 401]

    @pytest.mark.parametrize("salt", [passes._SALT, "another"])
    def test_is_ours_and_not_over(
        self, client: Client, board: str, salt: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        long_ago = time.time() - passes.LASTS - 1
        with monkeypatch.context() as earlier:
            if salt == passes._SALT:
                earlier.setattr("django.core.signing.time.time", lambda: long_ago)
            client.cookies[passes.COOKIE] = signing.dumps({"who": "eve", "by": "staff"}, salt=salt)
        self.away()
        assert client.get(board).status_code == 403

    def test_the_token_may_be_typed_at_the_board(self, client: Client, board: str) -> None:
        self.away()
        enter = reverse("resilience-board:enter")
        assert client.post(enter, {"token": TOKEN[:-1]}).status_code == 403
        assert client.post(enter, {"token": TOKEN}).status_code == 302
        assert client.get(board).status_code == 200
        order = {"breakers": "database", "action": "reset"}
        assert client.post(board, order).status_code == 302
        assert registry.breaker("database").shown() is State.CLOSED


class TestLocal:
    @pytest.fixture(autouse=True)
    def _debug(self, settings: Any) -> None:
        settings.DEBUG = True

    @pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
    def test_may_from_the_loopback_address(self, client: Client, address: str) -> None:
        assert both(client, REMOTE_ADDR=address) == [200, 200]

    @pytest.mark.parametrize("address", ["10.0.0.1", "2001:db8::1", "", "localhost"])
    def test_may_not_from_elsewhere(self, client: Client, address: str) -> None:
        assert both(client, REMOTE_ADDR=address) == [401, 401]

    def test_may_not_without_debug(self, client: Client, settings: Any) -> None:
        settings.DEBUG = False
        assert both(client) == [401, 401]

    @pytest.mark.parametrize(
        "header",
        ["X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-IP", "Origin", "Sec-Fetch-Site"],
    )
    def test_may_not_through_a_proxy_or_from_a_page(self, client: Client, header: str) -> None:
        assert both(client, headers={header: "anything"}) == [401, 401]

    def test_may_not_under_a_name_that_is_not_ours(self, client: Client) -> None:
        assert both(client, headers={"host": "rebound.example"}) == [400, 400]

    def test_credentials_that_do_not_hold_are_not_overlooked(self, client: Client, ada: User) -> None:
        ada.user_permissions.clear()
        assert both(client, headers=bearer(ada)) == [403, 403]
        assert both(client, headers={"authorization": "Bearer wrong"}) == [401, 401]


class TestNobody:
    def test_may_not(self, client: Client) -> None:
        assert both(client) == [401, 401]

    def test_is_told_so_outside_of_the_api_too(self, rf: RequestFactory) -> None:
        with pytest.raises(NobodyError):
            may_steer(rf.post("/anywhere"))

    def test_who_steers_is_named(self, rf: RequestFactory) -> None:
        request = rf.post("/anywhere", headers={"authorization": f"bearer {TOKEN}"})
        steerer = may_steer(request)
        assert (steerer.who, steerer.by) == ("OPS_TOKEN", "token")
