"""While sign-in is down people read that it is down, and never that their password is wrong."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client

from resilience import registry
from resilience.testing import server_role
from tests.accounts.conftest import PASSWORD, refresh, sign_in
from zenow.accounts.access import mint
from zenow.accounts.models import RefreshFamily

SENTENCE = "Sign-in is not available at the moment; the fault is ours, not in what you entered"


@pytest.fixture(autouse=True)
def served(ada: User) -> Iterator[None]:
    with server_role():
        yield


@pytest.fixture
def dead_database() -> Iterator[Any]:
    """What the table of users raises while its server is away."""
    gone = OperationalError("server closed the connection unexpectedly")
    gone.__cause__ = psycopg.OperationalError(str(gone))  # As Django raises it.
    with patch.object(ModelBackend, "authenticate", side_effect=gone) as asked:
        yield asked


@pytest.fixture
def open_breaker() -> None:
    registry.breaker("auth").isolate(who="test", why="held open")


class TestApi:
    @pytest.mark.usefixtures("open_breaker")
    @pytest.mark.parametrize("password", [PASSWORD, "wrong"])
    def test_says_503_and_when_to_try_again(self, client: Client, password: str) -> None:
        response = sign_in(client, password=password)
        assert response.status_code == 503
        assert response["Content-Type"] == "application/problem+json"
        assert int(response["Retry-After"]) >= 1
        assert response.json()["detail"].startswith(SENTENCE)
        assert "WWW-Authenticate" not in response

    def test_says_so_from_the_first_failure_on_and_stops_asking_after_three(
        self, client: Client, dead_database: Any
    ) -> None:
        responses = [sign_in(client) for _ in range(5)]
        assert [response.status_code for response in responses] == [503] * 5
        assert all(response.json()["detail"].startswith(SENTENCE) for response in responses)
        assert dead_database.call_count == 3

    def test_refuses_to_refresh_and_keeps_the_sign_in(self, client: Client) -> None:
        token = sign_in(client).json()["refresh_token"]
        registry.breaker("auth").isolate(who="test", why="held open")
        response = refresh(client, token)
        assert response.status_code == 503
        assert response.json()["detail"].startswith(SENTENCE)
        assert RefreshFamily.objects.get().ended_at is None
        registry.breaker("auth").reset(who="test", why="over")
        assert refresh(client, token).status_code == 200

    @pytest.mark.usefixtures("open_breaker")
    def test_access_tokens_still_read(self, client: Client, ada: User) -> None:
        response = client.get("/api/auth/me", headers={"Authorization": f"Bearer {mint(ada)}"})
        assert response.json()["username"] == "ada"

    @pytest.mark.usefixtures("open_breaker")
    def test_a_bad_access_token_is_still_401(self, client: Client) -> None:
        assert client.get("/api/auth/me", headers={"Authorization": "Bearer x"}).status_code == 401


class TestAdmin:
    @pytest.mark.usefixtures("open_breaker")
    def test_says_so_in_its_form(self, client: Client) -> None:
        response = client.post("/admin/login/", {"username": "ada", "password": PASSWORD})
        assert response.status_code == 503
        assert int(response["Retry-After"]) >= 1
        assert SENTENCE in response.content.decode()

    @pytest.mark.usefixtures("dead_database")
    def test_says_so_in_its_form_when_the_database_fails(self, client: Client) -> None:
        response = client.post("/admin/login/", {"username": "ada", "password": PASSWORD})
        assert response.status_code == 503
        assert SENTENCE in response.content.decode()

    @pytest.mark.usefixtures("open_breaker")
    def test_shows_its_form(self, client: Client) -> None:
        assert client.get("/admin/login/").status_code == 200


class TestRefreshing:
    def test_with_a_wrong_token_is_no_failure_of_sign_in(self, client: Client) -> None:
        assert [refresh(client, "nonsense").status_code for _ in range(9)] == [401] * 9
        assert registry.breaker("auth").snapshot().state == "CLOSED"
