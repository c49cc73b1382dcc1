from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.test import Client

from tests.accounts.conftest import PASSWORD, sign_in
from zenow.accounts import known_addresses
from zenow.accounts.known_addresses import KEPT
from zenow.accounts.models import KnownAddress

NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
HOME = "203.0.113.9"


class TestKnownAddress:
    def test_is_known_for_30_days_to_this_account_alone(self, ada: User) -> None:
        known_addresses.remember(ada, HOME, now=NOW)
        assert known_addresses.is_known("ada", HOME, now=NOW + KEPT - timedelta(seconds=1))
        assert not known_addresses.is_known("ada", HOME, now=NOW + KEPT)
        assert not known_addresses.is_known("ada", "198.51.100.1", now=NOW)
        assert not known_addresses.is_known("bob", HOME, now=NOW)

    def test_is_one_row_however_often_it_is_seen(self, ada: User) -> None:
        known_addresses.remember(ada, HOME, now=NOW)
        known_addresses.remember(ada, HOME, now=NOW + timedelta(days=9))
        assert KnownAddress.objects.get().seen_at == NOW + timedelta(days=9)


class TestSignIn:
    def test_through_the_api_makes_the_address_known(self, client: Client, ada: User) -> None:
        client.defaults["REMOTE_ADDR"] = "2001:db8:1:2::3"
        sign_in(client)
        assert KnownAddress.objects.get().address == "2001:db8:1:2::/64"

    def test_through_the_admin_makes_the_address_known(self, client: Client, ada: User) -> None:
        client.defaults["REMOTE_ADDR"] = HOME
        client.post("/admin/login/", {"username": "ada", "password": PASSWORD})
        assert KnownAddress.objects.get().address == HOME

    def test_with_a_wrong_password_does_not(self, client: Client, ada: User) -> None:
        sign_in(client, password="wrong")
        assert not KnownAddress.objects.exists()

    def test_works_when_the_address_cannot_be_written(
        self, client: Client, ada: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(*args: object, **kwargs: object) -> None:
            raise DatabaseError("cannot execute INSERT in a read-only transaction")

        monkeypatch.setattr(known_addresses, "remember", refuse)
        assert sign_in(client).status_code == 200
        assert "were not stored" in caplog.text
