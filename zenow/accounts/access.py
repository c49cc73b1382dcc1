"""Access tokens: they say who asks, for ten minutes. Any worker verifies them without asking a server."""

import time
from dataclasses import dataclass

import jwt
from django.contrib.auth.models import User

from zenow.accounts.credentials import stamp
from zenow.accounts.keys import signing_key, verifying_key

LIFETIME = 600.0
MAX_LENGTH = 2048
_ISSUER = "zenow"
_AUDIENCE = "zenow-api"
_TYPE = "at+jwt"  # RFC 9068: no other token that we sign is accepted as an access token


class AccessTokenError(Exception):
    """The token is not accepted; the message tells the client why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessClaims:
    """What a verified access token says about its bearer, as of sign-in or the last refresh."""

    user_id: str
    username: str
    is_staff: bool
    credential: str
    expires_at: float


def mint(user: User, *, now: float | None = None) -> str:
    """Return a signed access token for a user who has just proven who they are; `now` in Unix seconds."""
    issued = time.time() if now is None else now
    key_id, key = signing_key()
    claims = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "sub": str(user.pk),
        "iat": int(issued),
        "exp": int(issued + LIFETIME),
        "username": user.get_username(),
        "staff": user.is_staff,
        "credential": stamp(user),
    }
    return jwt.encode(claims, key, algorithm="HS256", headers={"kid": key_id, "typ": _TYPE})


def verify(token: str) -> AccessClaims:
    """Return the token's claims; raise AccessTokenError if it is malformed, forged, foreign or expired."""
    if len(token) > MAX_LENGTH:
        raise AccessTokenError("The access token is too long to be one of ours.")
    try:
        header = jwt.get_unverified_header(token)
        key = verifying_key(str(header.get("kid")))
        if key is None or header.get("typ") != _TYPE:
            raise AccessTokenError("The access token was not issued by this site.")
        claims = jwt.decode(
            token,
            key,
            algorithms=["HS256"],
            issuer=_ISSUER,
            audience=_AUDIENCE,
            # A host whose clock is behind must not refuse a token that another has just signed.
            options={"require": ["exp", "iat", "sub"], "verify_iat": False},
        )
    except jwt.ExpiredSignatureError as error:
        raise AccessTokenError("The access token has expired. Refresh it or sign in again.") from error
    except (jwt.InvalidTokenError, UnicodeError) as error:
        raise AccessTokenError("The access token is not valid. Sign in again.") from error
    return AccessClaims(
        user_id=claims["sub"],
        username=claims["username"],
        is_staff=claims["staff"],
        credential=claims["credential"],
        expires_at=float(claims["exp"]),
    )
