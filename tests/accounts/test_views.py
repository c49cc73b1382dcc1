from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests.accounts.conftest import PASSWORD, refresh, sign_in
from zenow.accounts.access import verify
from zenow.accounts.models import KnownAddress, RefreshFamily


class TestSignIn:
    def test_gives_an_access_token_and_a_refresh_token(self, client: Client, ada: User) -> None:
        response = sign_in(client)
        body = response.json()
        assert response.status_code == 200
        assert verify(body["access_token"]).username == "ada"
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
        assert refresh(client, body["refresh_token"]).status_code == 200

    def test_is_kept_by_no_store(self, client: Client, ada: User) -> None:
        assert sign_in(client)["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        ("username", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("ADA", PASSWORD)]
    )
    def test_refuses_a_wrong_password_and_an_unknown_user_alike(
        self, client: Client, ada: User, username: str, password: str
    ) -> None:
        response = sign_in(client, username, password)
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == 'Bearer realm="zenow"'
        assert "The username or the password is wrong." in response.content.decode()

    def test_refuses_a_deactivated_user_in_the_same_words(self, client: Client, ada: User) -> None:
        wrong = sign_in(client, password="wrong")
        User.objects.update(is_active=False)
        assert sign_in(client).content == wrong.content

    @pytest.mark.parametrize("username", ["ada", "nobody"])
    def test_an_unknown_user_costs_one_hash_as_a_known_one_does(
        self, client: Client, ada: User, username: str
    ) -> None:
        with patch.object(
            MD5PasswordHasher, "encode", autospec=True, side_effect=MD5PasswordHasher.encode
        ) as encode:
            sign_in(client, username, "wrong")
        assert encode.call_count == 1

    @pytest.mark.parametrize(
        "body",
        [
            b"{}",
            b"[]",
            b"null",
            b"nonsense",
            b'{"username": "ada"}',
            b'{"username": {"a": 1}, "password": []}',
            b'{"username": "a\\u0000", "password": "x"}',
            b'{"username": "\\ud800", "password": "x"}',
            b'{"username": "ada", "password": "\\ud800"}',
            b'{"username": "' + b"a" * 300 + b'", "password": "x"}',
            b'{"username": "ada", "password": "' + b"a" * 2000 + b'"}',
        ],
    )
    def test_answers_malformed_input_with_400(self, client: Client, ada: User, body: bytes) -> None:
        assert client.post("/api/auth/token", body, content_type="application/json").status_code == 400

    def test_takes_a_password_with_spaces_as_it_is(self, client: Client, ada: User) -> None:
        ada.set_password("  padded ")
        ada.save()
        assert sign_in(client, password="  padded ").status_code == 200
        assert sign_in(client, password="padded").status_code == 401

    def test_works_with_a_stale_token_in_the_header(self, client: Client, ada: User) -> None:
        client.defaults["HTTP_AUTHORIZATION"] = "Bearer stale"
        assert sign_in(client).status_code == 200

    def test_notes_when_it_was(self, client: Client, ada: User) -> None:
        sign_in(client)
        ada.refresh_from_db()
        assert ada.last_login is not None


class TestLastLogin:
    @pytest.fixture
    def unwritable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*args: Any) -> None:
            raise DatabaseError("cannot execute UPDATE in a read-only transaction")

        monkeypatch.setattr("zenow.accounts.receivers.update_last_login", refuse)

    @pytest.mark.usefixtures("unwritable")
    def test_signs_in_when_it_cannot_be_written(
        self, client: Client, ada: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert sign_in(client).status_code == 200
        assert "were not stored" in caplog.text

    @pytest.mark.usefixtures("unwritable")
    def test_signs_in_to_the_admin_when_it_cannot_be_written(self, client: Client, ada: User) -> None:
        response = client.post("/admin/login/?next=/admin/", {"username": "ada", "password": PASSWORD})
        assert response.status_code == 302
        assert client.get("/admin/").status_code == 200

    def test_is_written_once(self, client: Client, ada: User) -> None:
        with patch("django.contrib.auth.models.update_last_login") as django_writes:
            sign_in(client)
        assert django_writes.call_count == 0


class TestRefresh:
    def test_rotates(self, client: Client, ada: User) -> None:
        old = sign_in(client).json()["refresh_token"]
        new = refresh(client, old).json()["refresh_token"]
        assert new != old
        assert refresh(client, new).status_code == 200

    def test_tells_the_loser_of_a_race_to_use_the_other_answer(self, client: Client, ada: User) -> None:
        token = sign_in(client).json()["refresh_token"]
        refresh(client, token)
        assert refresh(client, token).status_code == 409

    def test_stores_the_end_of_a_family_although_it_refuses(self, client: Client, ada: User) -> None:
        token = sign_in(client).json()["refresh_token"]
        assert refresh(client, token[:-3] + "xxx").status_code == 401
        assert RefreshFamily.objects.get().ended_because == "reused"
        assert refresh(client, token).status_code == 401

    @pytest.mark.parametrize("token", ["nonsense", "é", "a" * 128])
    def test_refuses_an_unknown_token_with_a_challenge(self, client: Client, db: None, token: str) -> None:
        response = refresh(client, token)
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == 'Bearer realm="zenow"'

    @pytest.mark.parametrize("token", ["", "a" * 129, "a\0b", 7.5, None, ["a"]])
    def test_answers_malformed_input_with_400(self, client: Client, db: None, token: Any) -> None:
        response = refresh(client, token)
        assert response.status_code in {400, 401}
        assert response.status_code == 400 or token == 7.5

    def test_signing_out_ends_it(self, client: Client, ada: User) -> None:
        token = sign_in(client).json()["refresh_token"]
        for _ in range(2):
            response = client.post(
                "/api/auth/logout", {"refresh_token": token}, content_type="application/json"
            )
            assert response.status_code == 204
        assert refresh(client, token).status_code == 401


class TestMe:
    def test_says_who_asks_without_a_query(
        self, client: Client, ada: User, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        token = sign_in(client).json()["access_token"]
        with django_assert_num_queries(0):
            body = client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"}).json()
        assert (body["id"], body["username"], body["is_staff"]) == (str(ada.pk), "ada", True)

    def test_is_401_without_a_token(self, client: Client) -> None:
        response = client.get("/api/auth/me")
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == 'Bearer realm="zenow"'

    def test_answers_with_a_trailing_slash_too(self, client: Client) -> None:
        assert client.get("/api/auth/me/").status_code == 401


class TestSchema:
    def test_describes_sign_in_and_its_tokens(self, client: Client) -> None:
        schema = client.get("/api/schema", headers={"Accept": "application/json"}).json()
        assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
        assert schema["paths"]["/api/auth/me"]["get"]["security"] == [{"bearer": []}]
        assert {"200", "401"} <= set(schema["paths"]["/api/auth/token"]["post"]["responses"])
        assert "409" in schema["paths"]["/api/auth/token/refresh"]["post"]["responses"]


class TestAdmin:
    def test_revokes_sign_ins(self, client: Client, ada: User) -> None:
        token = sign_in(client).json()["refresh_token"]
        client.force_login(User.objects.create_superuser("root"))
        rows = {"action": "revoke", "_selected_action": [RefreshFamily.objects.get().pk]}
        client.post("/admin/accounts/refreshfamily/", rows)
        assert RefreshFamily.objects.get().ended_because == "revoked"
        assert refresh(client, token).status_code == 401

    @pytest.mark.parametrize("model", [RefreshFamily, KnownAddress])
    def test_shows_rows_and_no_secret(
        self, client: Client, ada: User, model: type[RefreshFamily | KnownAddress]
    ) -> None:
        sign_in(client)
        client.force_login(User.objects.create_superuser("root"))
        family = RefreshFamily.objects.get()
        page = f"/admin/accounts/{model._meta.model_name}/"
        for address in (page, f"{page}{model.objects.get().pk}/change/"):
            shown = client.get(address, follow=True)
            assert shown.status_code == 200
            assert "ada" in shown.content.decode()
            assert not any(
                secret in shown.content.decode() for secret in (family.selector, family.secret_hash)
            )
