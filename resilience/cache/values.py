"""How values are stored: `OPTIONS["VALUES"]` of a cache is "json", the default, or "signed".

"json" holds what `codec` can write, and nothing that is read is ever executed. "signed" holds whatever can be
pickled, and unpickles only what this site has signed for the very key under which it is found.
"""

import hashlib
import hmac
import pickle
from functools import lru_cache
from typing import Any, Protocol

from django.conf import settings

from resilience.cache import codec
from resilience.cache.codec import UndecodableError

# What a signed value begins with: no JSON, no number and no pickle does.
MARK = b"\xffrs1"
_LENGTH = 32
_PROTOCOL = 5  # of every Python that is supported, so that hosts with different ones share a cache


class Values(Protocol):
    """A way to store values. `made` is the key as the server has it; no message tells it."""

    def encode(self, value: Any, *, made: str) -> bytes | int:
        """Return the stored form. An integer stays one, so that the server can count with it.

        Raises TypeError, naming the type, for a value that cannot be stored.
        """

    def decode(self, stored: Any, *, made: str) -> Any:
        """Return the value. Raises UndecodableError for what `encode` has not written."""


class Json:
    """JSON with tags: see `codec`."""

    def encode(self, value: Any, *, made: str) -> bytes | int:
        return codec.encode(value)

    def decode(self, stored: Any, *, made: str) -> Any:
        return codec.decode(stored)


class Signed:
    """Pickles with an HMAC, by a key that is derived from `SECRET_KEY`; `SECRET_KEY_FALLBACKS` verify.

    The signature covers the key under which the value is stored, with its prefix and version. So a value that
    was moved to another key is a miss, as one is that anybody else wrote. It does not show that a value is an
    old one of the same key.
    """

    def encode(self, value: Any, *, made: str) -> bytes | int:
        if type(value) is int:
            return value
        try:
            pickled = pickle.dumps(value, _PROTOCOL)
        # An object's own methods take part, so that an error of any class is possible.
        except Exception as error:
            raise TypeError(
                f"The cache cannot store this {type(value).__qualname__}, since it cannot be pickled: {error}"
            ) from error
        return MARK + _signature(str(settings.SECRET_KEY), made, pickled) + pickled

    def decode(self, stored: Any, *, made: str) -> Any:
        if type(stored) is int:
            return stored
        if not isinstance(stored, bytes) or not stored.startswith(MARK):
            raise UndecodableError("it is not signed")
        signature, pickled = stored[len(MARK) : len(MARK) + _LENGTH], stored[len(MARK) + _LENGTH :]
        secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        # All are tried, so that the time does not tell which one it was.
        matches = [hmac.compare_digest(signature, _signature(str(one), made, pickled)) for one in secrets]
        if not any(matches):
            raise UndecodableError("its signature is not this site's for this key")
        try:
            return pickle.loads(pickled)  # noqa: S301 - signed by this site, for this key
        # Of any class: what was stored may be of a class that is gone, or has changed.
        except Exception as error:
            raise UndecodableError(f"it cannot be unpickled any more: {type(error).__qualname__}") from error


def _signature(secret: str, made: str, pickled: bytes) -> bytes:
    key = made.encode("utf-8", "surrogatepass")
    # With its length before it, nothing can pass from the key into the value.
    message = len(key).to_bytes(8, "big") + key + pickled
    return hmac.digest(_derived(secret), message, "sha256")


@lru_cache(maxsize=16)
def _derived(secret: str) -> bytes:
    """Return a key for this purpose alone."""
    return hashlib.sha256(b"resilience.cache.values.signed\x00" + secret.encode()).digest()


VALUES: dict[str, Values] = {"json": Json(), "signed": Signed()}
