"""The addresses from which accounts signed in. They are kept for 30 days, for the limits of sign-ins."""

from datetime import datetime, timedelta

from django.contrib.auth.models import User

from zenow.accounts.models import KnownAddress

KEPT = timedelta(days=30)


def remember(user: User, address: str, *, now: datetime) -> None:
    """Note a sign-in from this address."""
    KnownAddress.objects.bulk_create(
        [KnownAddress(user=user, address=address, seen_at=now)],
        update_conflicts=True,
        unique_fields=["user", "address"],
        update_fields=["seen_at"],
    )


def is_known(username: str, address: str, *, now: datetime) -> bool:
    """Tell whether the account signed in from this address during the last 30 days."""
    return KnownAddress.objects.filter(
        user__username=username, address=address, seen_at__gt=now - KEPT
    ).exists()
