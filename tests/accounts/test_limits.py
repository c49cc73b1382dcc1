from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from resilience import registry
from resilience.problems import WIDEST_SPREAD
from resilience.testing import server_role
from tests.accounts.conftest import PASSWORD, sign_in
from zenow.accounts import known_addresses
from zenow.accounts.models import KnownAddress

WRONG = "wrong"
HOME = "203.0.113.9"
ELSEWHERE = "198.51.100.7"


@pytest.fixture(autouse=True)
def served(ada: User) -> Iterator[None]:
    with server_role():
        yield


def attempt(address: str, password: str = WRONG, username: str = "ada", **headers: str) -> Any:
    return sign_in(Client(REMOTE_ADDR=address, headers=headers), username, password)


def attack(strangers: int) -> list[int]:
    """Let each of so many strangers try once, from an address of its own."""
    return [attempt(f"100.64.{n // 250}.{n % 250}").status_code for n in range(strangers)]


class TestFromOneAddress:
    def test_five_a_minute_are_let_through(self) -> None:
        statuses = [attempt(HOME).status_code for _ in range(7)]
        assert statuses == [401] * 5 + [429] * 2

    def test_the_refusal_is_a_problem_that_says_when_to_try_again(self) -> None:
        for _ in range(5):
            attempt(HOME)
        response = attempt(HOME, PASSWORD)
        assert response.status_code == 429
        assert response["Content-Type"] == "application/problem+json"
        # The window slides, and up to 30 s are added to spread those who come back.
        assert 1 <= int(response["Retry-After"]) <= 75 + WIDEST_SPREAD
        assert "too many attempts" in response.json()["detail"].lower()

    def test_the_right_password_counts_as_well(self) -> None:
        assert [attempt(HOME, PASSWORD).status_code for _ in range(6)] == [200] * 5 + [429]

    def test_another_address_and_another_account_are_free(self) -> None:
        for _ in range(6):
            attempt(HOME)
        assert attempt(ELSEWHERE, PASSWORD).status_code == 200
        assert attempt(HOME, username="bob").status_code == 401

    def test_an_account_that_does_not_exist_is_limited_alike(self) -> None:
        assert [attempt(HOME, username="nobody").status_code for _ in range(6)] == [401] * 5 + [429]

    def test_the_address_is_not_what_the_client_writes_into_a_header(self, settings: Settings) -> None:
        settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
        spoofed = [
            attempt("10.0.0.1", **{"X-Forwarded-For": f"192.0.2.{n}, {HOME}"}).status_code for n in range(6)
        ]
        assert spoofed[-1] == 429
        assert attempt("10.0.0.1", **{"X-Forwarded-For": f"{HOME}, {ELSEWHERE}"}).status_code == 401

    def test_a_64_of_ipv6_is_one_address(self) -> None:
        assert [attempt(f"2001:db8:1:2::{n}").status_code for n in range(6)][-1] == 429
        assert attempt("2001:db8:1:3::1").status_code == 401


class TestFromAllAddresses:
    def test_fifty_a_minute_are_let_through(self) -> None:
        assert attack(52) == [401] * 50 + [429] * 2

    def test_strangers_cannot_lock_anybody_out_where_they_usually_sign_in(self, ada: User) -> None:
        known_addresses.remember(ada, HOME, now=timezone.now() - timedelta(days=29))
        attack(60)
        assert attempt(ELSEWHERE, PASSWORD).status_code == 429
        assert attempt(HOME, PASSWORD).status_code == 200

    def test_an_address_of_31_days_ago_is_a_strangers(self, ada: User) -> None:
        attack(50)
        known_addresses.remember(ada, HOME, now=timezone.now())
        KnownAddress.objects.update(seen_at=timezone.now() - timedelta(days=31))
        assert attempt(HOME, PASSWORD).status_code == 429

    def test_a_known_address_is_limited_to_five_all_the_same(self, ada: User) -> None:
        known_addresses.remember(ada, HOME, now=timezone.now())
        assert [attempt(HOME).status_code for _ in range(6)][-1] == 429


class TestAdmin:
    def test_the_form_is_limited_with_a_sentence(self) -> None:
        client = Client(REMOTE_ADDR=HOME)
        for _ in range(5):
            answer = client.post("/admin/login/", {"username": "ada", "password": "wrong"})
            assert answer.status_code == 200
        answer = client.post("/admin/login/", {"username": "ada", "password": PASSWORD})
        assert answer.status_code == 429
        assert int(answer["Retry-After"]) >= 1
        assert "There were too many attempts to sign in to this account" in answer.content.decode()

    def test_form_and_api_share_one_count(self) -> None:
        client = Client(REMOTE_ADDR=HOME)
        for _ in range(3):
            client.post("/admin/login/", {"username": "ada", "password": "wrong"})
        assert [attempt(HOME).status_code for _ in range(3)] == [401, 401, 429]


class TestUncounted:
    def test_is_let_through_and_said(self, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(5):
            attempt(HOME)
        lock = registry.store().limits_lock
        assert lock.take() is not None
        try:
            assert attempt(HOME, PASSWORD).status_code == 200
        finally:
            lock.release()
        assert "could not be counted" in caplog.text
        # Once for the address, once for the account.
        assert registry.store().counters.totals()["limits", "sign-in", "uncounted"] == 2
        assert attempt(HOME, PASSWORD).status_code == 429
