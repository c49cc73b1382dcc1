"""Delete sign-ins and addresses whose time is over: a chore of the host's steward."""

from django.utils import timezone

from resilience.db.batches import delete_in_batches
from zenow.accounts.known_addresses import KEPT
from zenow.accounts.models import KnownAddress, RefreshFamily


def run(epoch: int) -> None:
    """Delete refresh tokens that have expired, and addresses from which nobody has signed in for 30 days."""
    now = timezone.now()
    delete_in_batches(RefreshFamily.objects.filter(expires_at__lte=now))
    delete_in_batches(KnownAddress.objects.filter(seen_at__lte=now - KEPT))
