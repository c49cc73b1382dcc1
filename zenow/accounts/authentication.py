"""Authentication by bearer token. Reads need no server; for a write the account is read."""

from typing import Any

from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from zenow.accounts.access import AccessClaims, AccessTokenError, verify
from zenow.accounts.credentials import stamp_is_current

REALM = "zenow"


class TokenUser:
    """The bearer of a valid token, as the token alone describes them: enough for reads, never for writes."""

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_superuser = False

    def __init__(self, claims: AccessClaims) -> None:
        self.pk = self.id = claims.user_id
        self.username = claims.username
        self.is_staff = claims.is_staff

    def __str__(self) -> str:
        return self.username

    def get_username(self) -> str:
        return self.username

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return False

    def has_perms(self, perm_list: list[str], obj: Any = None) -> bool:
        return not perm_list

    def has_module_perms(self, app_label: str) -> bool:
        return False


class BearerAuthentication(BaseAuthentication):
    """Authenticate by `Authorization: Bearer <access token>`.

    A read is authenticated by the token alone, so it needs no database; an invalid token is refused there
    too. A write reads the account: if it was deactivated, or its password was changed, the token is refused
    at once.
    """

    def authenticate(self, request: Request) -> tuple[TokenUser | User, AccessClaims] | None:
        """Return (user, claims), or None without a bearer token; raise AuthenticationFailed on a bad one."""
        scheme, *rest = get_authorization_header(request).split()[:3] or [b""]
        if scheme.lower() != b"bearer":
            return None
        if len(rest) != 1:
            raise AuthenticationFailed("The Authorization header must be `Bearer` and one access token.")
        try:
            claims = verify(rest[0].decode("latin-1"))
        except AccessTokenError as error:
            raise AuthenticationFailed(str(error)) from error
        if request.method in SAFE_METHODS:
            return TokenUser(claims), claims
        return _account(claims), claims

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of RFC 6750: with an error if a token was sent, else without."""
        sent = get_authorization_header(request).lower().startswith(b"bearer")
        return challenge("invalid_token" if sent else "")


def challenge(error: str = "") -> str:
    """Return the value of WWW-Authenticate."""
    return f'Bearer realm="{REALM}"' + (f', error="{error}"' if error else "")


def _account(claims: AccessClaims) -> User:
    """Return the account as the database has it now; raise AuthenticationFailed if it may not sign in."""
    user = User.objects.filter(pk=claims.user_id).first()
    if user is None or not user.is_active or not stamp_is_current(user, claims.credential):
        raise AuthenticationFailed("The account was changed since this token was issued. Sign in again.")
    return user
