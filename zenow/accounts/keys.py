"""The keys that sign access tokens, derived from SECRET_KEY so that no second secret has to be kept."""

from functools import lru_cache

from django.conf import settings
from django.utils.crypto import salted_hmac

_SALT = "zenow.accounts.keys"


@lru_cache(maxsize=8)
def _derive(secret: str) -> tuple[str, bytes]:
    """Return (key id, 32-byte key) of a secret; neither reveals the secret or the other."""
    key_id = salted_hmac(_SALT + ".id", "access", secret=secret, algorithm="sha256").hexdigest()[:16]
    return key_id, salted_hmac(_SALT + ".key", "access", secret=secret, algorithm="sha256").digest()


def signing_key() -> tuple[str, bytes]:
    """Return (key id, key) that signs new tokens."""
    return _derive(settings.SECRET_KEY)


def verifying_key(key_id: str) -> bytes | None:
    """Return the key of this id, also of one in SECRET_KEY_FALLBACKS; None if there is none."""
    keys = dict(map(_derive, (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)))
    return keys.get(key_id)
