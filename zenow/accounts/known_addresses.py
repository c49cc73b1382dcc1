"""From where an account signed in during the last 30 days. Kept for the sign-in limits, then deleted."""

from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction

from zenow.accounts.models import KnownAddress

KEPT = timedelta(days=30)
_PRUNED_AT_ONCE = 100


def remember(user: User, address: str, *, now: datetime) -> None:
    """Note a sign-in from this address; in passing delete some that are older than 30 days."""
    with transaction.atomic():
        KnownAddress.objects.bulk_create(
            [KnownAddress(user=user, address=address, seen_at=now)],
            update_conflicts=True,
            unique_fields=["user", "address"],
            update_fields=["seen_at"],
        )
        prune(now=now)


def is_known(username: str, address: str, *, now: datetime) -> bool:
    """Say whether the account signed in from this address during the last 30 days."""
    return KnownAddress.objects.filter(
        user__username=username, address=address, seen_at__gt=now - KEPT
    ).exists()


@transaction.atomic
def prune(*, now: datetime) -> int:
    """Delete at most 100 addresses last seen over 30 days ago, none that somebody else is deleting."""
    old = (
        KnownAddress.objects.select_for_update(skip_locked=True)
        .filter(seen_at__lte=now - KEPT)
        .order_by("seen_at")
        .values_list("pk", flat=True)[:_PRUNED_AT_ONCE]
    )
    return KnownAddress.objects.filter(pk__in=list(old)).delete()[0]
