from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from pytest_django import Settings

from zenow.accounts import refresh
from zenow.accounts.models import RefreshFamily

NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=9)


class TestRotation:
    def test_gives_a_successor_that_works(self, ada: User) -> None:
        token = refresh.issue(ada, now=NOW)
        user, second = refresh.rotate(token, now=LATER)
        _, third = refresh.rotate(second, now=LATER + timedelta(minutes=9))
        assert user == ada
        assert len({token, second, third}) == 3

    def test_keeps_one_row_for_each_sign_in(self, ada: User) -> None:
        token = refresh.issue(ada, now=NOW)
        for minute in range(1, 6):
            _, token = refresh.rotate(token, now=NOW + timedelta(minutes=minute))
        assert RefreshFamily.objects.count() == 1

    def test_stores_no_secret(self, ada: User) -> None:
        secret = refresh.issue(ada, now=NOW).partition(".")[2]
        row = RefreshFamily.objects.values().get()
        assert all(secret not in str(value) for value in row.values())

    def test_does_not_prolong_the_family(self, ada: User) -> None:
        _, token = refresh.rotate(refresh.issue(ada, now=NOW), now=LATER)
        with pytest.raises(refresh.RefreshError, match="expired"):
            refresh.rotate(token, now=NOW + refresh.LIFETIME)

    @pytest.mark.parametrize("token", ["", ".", "a.b", "0" * 32 + ".x", "é.é"])
    def test_refuses_an_unknown_token(self, ada: User, token: str) -> None:
        with pytest.raises(refresh.RefreshError, match="unknown"):
            refresh.rotate(token, now=NOW)


class TestReuse:
    def test_ends_the_family_for_everybody(self, ada: User) -> None:
        first = refresh.issue(ada, now=NOW)
        _, second = refresh.rotate(first, now=LATER)
        with pytest.raises(refresh.RefreshError, match="used before"):
            refresh.rotate(first, now=LATER + refresh.GRACE)
        with pytest.raises(refresh.RefreshError, match="ended"):
            refresh.rotate(second, now=LATER + refresh.GRACE)
        assert RefreshFamily.objects.get().ended_because == "reused"

    def test_a_grandparent_has_no_grace(self, ada: User) -> None:
        first = refresh.issue(ada, now=NOW)
        _, second = refresh.rotate(first, now=LATER)
        refresh.rotate(second, now=LATER)
        with pytest.raises(refresh.RefreshError, match="used before"):
            refresh.rotate(first, now=LATER)

    def test_a_guessed_secret_ends_the_family_too(self, ada: User) -> None:
        token = refresh.issue(ada, now=NOW)
        with pytest.raises(refresh.RefreshError, match="used before"):
            refresh.rotate(token.partition(".")[0] + ".guess", now=LATER)
        assert RefreshFamily.objects.get().ended_at == LATER

    def test_leaves_other_sign_ins_alone(self, ada: User) -> None:
        first, other = refresh.issue(ada, now=NOW), refresh.issue(ada, now=NOW)
        refresh.rotate(first, now=LATER)
        with pytest.raises(refresh.RefreshError):
            refresh.rotate(first, now=LATER + refresh.GRACE)
        assert refresh.rotate(other, now=LATER)[0] == ada


class TestRace:
    def test_the_loser_of_two_at_once_ends_nothing(self, ada: User) -> None:
        first = refresh.issue(ada, now=NOW)
        _, second = refresh.rotate(first, now=LATER)
        with pytest.raises(refresh.RefreshRaceError):
            refresh.rotate(first, now=LATER + refresh.GRACE / 2)
        assert refresh.rotate(second, now=LATER + timedelta(minutes=1))[0] == ada

    def test_one_that_read_before_and_writes_after_the_other_loses(
        self, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = refresh.issue(ada, now=NOW)
        winners = []

        def overtaken(size: int) -> str:
            monkeypatch.undo()
            winners.append(refresh.rotate(first, now=LATER)[1])
            return "of the slower one"

        monkeypatch.setattr("zenow.accounts.refresh.secrets.token_urlsafe", overtaken)
        with pytest.raises(refresh.RefreshRaceError):
            refresh.rotate(first, now=LATER)
        assert refresh.rotate(winners[0], now=LATER)[0] == ada


class TestChangedAccount:
    def test_a_deactivated_user_is_out(self, ada: User) -> None:
        token = refresh.issue(ada, now=NOW)
        User.objects.update(is_active=False)
        with pytest.raises(refresh.RefreshError, match="changed"):
            refresh.rotate(token, now=LATER)
        User.objects.update(is_active=True)
        with pytest.raises(refresh.RefreshError, match="ended"):
            refresh.rotate(token, now=LATER)

    def test_a_new_password_ends_older_sign_ins(self, ada: User) -> None:
        token = refresh.issue(ada, now=NOW)
        ada.set_password("another one entirely")
        ada.save()
        with pytest.raises(refresh.RefreshError, match="changed"):
            refresh.rotate(token, now=LATER)

    def test_a_rotated_secret_key_ends_nothing(self, ada: User, settings: Settings) -> None:
        token = refresh.issue(ada, now=NOW)
        with override_settings(SECRET_KEY="y" * 60, SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
            assert refresh.rotate(token, now=LATER)[0] == ada


class TestEnd:
    def test_takes_any_token_of_the_family(self, ada: User) -> None:
        first = refresh.issue(ada, now=NOW)
        _, second = refresh.rotate(first, now=LATER)
        refresh.end(first, now=LATER)
        with pytest.raises(refresh.RefreshError, match="ended"):
            refresh.rotate(second, now=LATER)

    def test_of_an_unknown_token_ends_nothing(self, ada: User) -> None:
        token = refresh.issue(ada, now=NOW)
        refresh.end("unknown", now=NOW)
        assert refresh.rotate(token, now=LATER)[0] == ada
