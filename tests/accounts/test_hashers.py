import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, check_password, make_password
from pytest_django import Settings

from zenow.settings import base


@pytest.fixture(autouse=True)
def real_hashers(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = base.PASSWORD_HASHERS


class TestHashing:
    def test_is_argon2id_as_owasp_advises(self) -> None:
        assert make_password("secret").startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")

    def test_accepts_hashes_from_elsewhere(self) -> None:
        foreign = PBKDF2PasswordHasher().encode("secret", "a-salt-of-22-characters", iterations=1000)
        assert check_password("secret", foreign)
        assert not check_password("another", foreign)
