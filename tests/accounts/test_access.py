import base64
import json
import time

import jwt
import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from pytest_django import DjangoAssertNumQueries, Settings

from zenow.accounts.access import LIFETIME, AccessTokenError, mint, verify
from zenow.accounts.keys import signing_key

NEW_KEY = "a-new-secret-" + "x" * 50


@pytest.fixture
def user() -> User:
    return User(pk=7, username="ada", password="md5$a$b", is_staff=True)


def with_parts(
    token: str, *, header: dict[str, str] | None = None, claims: dict[str, object] | None = None
) -> str:
    """Return the token with its header or claims replaced and its signature kept."""
    parts = token.split(".")
    for place, value in enumerate((header, claims)):
        if value is not None:
            parts[place] = base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    return ".".join(parts)


class TestAccessToken:
    def test_says_who_asks_for_ten_minutes(self, user: User) -> None:
        claims = verify(mint(user, now=time.time()))
        assert (claims.user_id, claims.username, claims.is_staff) == ("7", "ada", True)
        assert claims.expires_at == pytest.approx(time.time() + LIFETIME, abs=2)

    def test_is_verified_without_a_query(
        self, user: User, db: None, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        token = mint(user)
        with django_assert_num_queries(0):
            verify(token)

    def test_ends_after_its_ten_minutes(self, user: User) -> None:
        verify(mint(user, now=time.time() - LIFETIME + 5))
        with pytest.raises(AccessTokenError, match="expired"):
            verify(mint(user, now=time.time() - LIFETIME - 1))

    def test_names_its_key_issuer_audience_and_type(self, user: User) -> None:
        token = mint(user)
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
        assert (header["alg"], header["typ"], header["kid"]) == ("HS256", "at+jwt", signing_key()[0])
        assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"]) == ("zenow", "zenow-api", 600)

    def test_tells_nothing_of_the_password(self, user: User) -> None:
        assert user.password not in str(jwt.decode(mint(user), options={"verify_signature": False}))


class TestKeys:
    def test_a_retired_key_still_verifies(self, user: User, settings: Settings) -> None:
        token = mint(user)
        with override_settings(SECRET_KEY=NEW_KEY, SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
            assert verify(token).username == "ada"

    def test_a_removed_key_does_not(self, user: User) -> None:
        token = mint(user)
        with override_settings(SECRET_KEY=NEW_KEY), pytest.raises(AccessTokenError):
            verify(token)

    def test_new_tokens_are_signed_with_the_new_key(self, user: User, settings: Settings) -> None:
        with override_settings(SECRET_KEY=NEW_KEY, SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
            token = mint(user)
        with pytest.raises(AccessTokenError):
            verify(token)

    def test_the_key_is_not_the_secret(self, settings: Settings) -> None:
        key_id, key = signing_key()
        assert len(key) == 32
        assert key_id not in settings.SECRET_KEY
        assert key != settings.SECRET_KEY.encode()


class TestForgeries:
    @pytest.mark.parametrize(
        "token", ["", ".", "..", "a.b.c", "null", "é" * 9, "x" * 5000, "e30.e30.", "[].[].[]"]
    )
    def test_refuses_what_is_no_token(self, token: str) -> None:
        with pytest.raises(AccessTokenError):
            verify(token)

    def test_refuses_changed_claims(self, user: User) -> None:
        token = mint(user)
        claims = jwt.decode(token, options={"verify_signature": False})
        with pytest.raises(AccessTokenError):
            verify(with_parts(token, claims={**claims, "sub": "1"}))

    def test_refuses_a_token_without_a_signature(self, user: User) -> None:
        token = with_parts(mint(user), header={"alg": "none", "typ": "at+jwt", "kid": signing_key()[0]})
        with pytest.raises(AccessTokenError):
            verify(token.rpartition(".")[0] + ".")

    @pytest.mark.parametrize(
        ("claim", "value"),
        [("iss", "elsewhere"), ("aud", "another-api"), ("exp", None), ("sub", None), ("aud", None)],
    )
    def test_refuses_a_well_signed_token_for_something_else(
        self, user: User, claim: str, value: str | None
    ) -> None:
        claims = jwt.decode(mint(user), options={"verify_signature": False})
        claims.pop(claim)
        if value is not None:
            claims[claim] = value
        key_id, key = signing_key()
        token = jwt.encode(claims, key, algorithm="HS256", headers={"kid": key_id, "typ": "at+jwt"})
        with pytest.raises(AccessTokenError):
            verify(token)

    def test_refuses_another_type_of_token(self, user: User) -> None:
        claims = jwt.decode(mint(user), options={"verify_signature": False})
        key_id, key = signing_key()
        with pytest.raises(AccessTokenError):
            verify(jwt.encode(claims, key, algorithm="HS256", headers={"kid": key_id}))
