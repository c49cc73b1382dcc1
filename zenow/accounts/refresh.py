"""Refresh tokens: issued at sign-in, exchanged at each use. If an old one comes back, its family ends.

A token is `selector.secret`. The selector finds the family's row, which holds the secret's hash (split
tokens, after Paragon Initiative). Secrets are 256 random bits, so they need no salt and no slow hash.
"""

# Note [Two refreshes at once]
# Rotation is one UPDATE that names the hash it expects. So if two requests send the same token, exactly one
# wins, on any database. The loser sends the same as a thief would, but a client with two tabs does so within
# moments. So a token that was exchanged less than GRACE ago gets a 409: it ends nothing, and never gets a
# second successor. Any other old token of the family, and the same one later, was copied or replayed. Then
# the family ends, for everybody who holds a token of it. So a client that lost the answer to a refresh may
# have to sign in again, but nobody else ever gets in.

import hashlib
import secrets
import uuid
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.crypto import constant_time_compare

from resilience.auth import NotAcceptedError
from zenow.accounts.credentials import stamp, stamp_is_current
from zenow.accounts.models import RefreshFamily

LIFETIME = timedelta(days=14)  # of a family, from sign-in; rotation does not prolong it
GRACE = timedelta(seconds=5)
MAX_LENGTH = 128


class RefreshError(NotAcceptedError):
    """The token is not accepted; the message tells the client why."""


class RefreshRaceError(RefreshError):
    """Another request exchanged the same token a moment ago; that request has the successor."""


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def issue(user: User, *, now: datetime) -> str:
    """Begin a family and return its first token."""
    selector, secret = uuid.uuid4().hex, secrets.token_urlsafe(32)
    RefreshFamily.objects.create(
        user=user,
        selector=selector,
        secret_hash=_digest(secret),
        credential=stamp(user),
        created_at=now,
        rotated_at=now,
        expires_at=now + LIFETIME,
    )
    return f"{selector}.{secret}"


def rotate(token: str, *, now: datetime) -> tuple[User, str]:
    """Exchange a token for its successor; return the user and the successor.

    Raises RefreshRaceError for the loser of two refreshes at once. Raises RefreshError for any other token
    that is not accepted: it is unknown, expired or was used before (which ends the family), or its user was
    deactivated or has changed the password since.
    """
    selector, _, secret = token.partition(".")
    refusal: RefreshError
    with transaction.atomic():
        family = (
            RefreshFamily.objects.select_related("user")
            .filter(selector=selector, ended_at=None, expires_at__gt=now)
            .first()
        )
        if family is None:
            raise RefreshError("The refresh token is unknown, has expired or was ended. Sign in again.")
        digest = _digest(secret)
        if not constant_time_compare(family.secret_hash, digest):
            refusal = _refuse_stale(family, digest, now)
        elif not (family.user.is_active and stamp_is_current(family.user, family.credential)):
            _end(family, RefreshFamily.End.USER_CHANGED, now)
            refusal = RefreshError("The account was changed since this sign-in. Sign in again.")
        else:
            successor = secrets.token_urlsafe(32)
            # See Note [Two refreshes at once]
            won = RefreshFamily.objects.filter(pk=family.pk, secret_hash=digest, ended_at=None).update(
                secret_hash=_digest(successor), previous_hash=digest, rotated_at=now
            )
            if won:
                return family.user, f"{selector}.{successor}"
            refusal = _race()
    raise refusal  # outside of the transaction, since the end of the family must be stored


def end(token: str, *, now: datetime) -> None:
    """End the family of this token, which may be an old one; an unknown token ends nothing."""
    RefreshFamily.objects.filter(selector=token.partition(".")[0], ended_at=None).update(
        ended_at=now, ended_because=RefreshFamily.End.SIGNED_OUT
    )


def _refuse_stale(family: RefreshFamily, digest: str, now: datetime) -> RefreshError:
    """End the family unless the token lost a race; see Note [Two refreshes at once]."""
    # Compared in both directions: if the clock was set back, any old token would pass as a race for a while.
    near = abs(now - family.rotated_at) < GRACE
    raced = constant_time_compare(family.previous_hash, digest) and near
    if raced:
        return _race()
    _end(family, RefreshFamily.End.REUSED, now)
    return RefreshError("The refresh token was used before, so this sign-in was ended. Sign in again.")


def _race() -> RefreshRaceError:
    return RefreshRaceError(
        "Another request exchanged this refresh token a moment ago. Use the token it received."
    )


def _end(family: RefreshFamily, why: RefreshFamily.End, now: datetime) -> None:
    RefreshFamily.objects.filter(pk=family.pk, ended_at=None).update(ended_at=now, ended_because=why)
