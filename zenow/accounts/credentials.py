"""A stamp of a user's password: tokens that carry it end when the password changes."""

from django.contrib.auth.models import User
from django.utils.crypto import constant_time_compare

# 128 bits of Django's keyed session hash tell two passwords apart, and are useless without SECRET_KEY.
STAMP_LENGTH = 32


def stamp(user: User) -> str:
    """Return the stamp of the user's present password."""
    return user.get_session_auth_hash()[:STAMP_LENGTH]


def stamp_is_current(user: User, value: str) -> bool:
    """Tell whether the password is still the one that was stamped, under this SECRET_KEY or a retired one."""
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(known[:STAMP_LENGTH], value) for known in hashes)
