"""Delete sign-ins that have expired: a chore of the host's steward."""

from django.utils import timezone

from zenow.accounts import refresh


def run(epoch: int) -> None:
    """Delete all that have expired, a few at a time: nobody waits for it."""
    while refresh.prune(now=timezone.now()):
        pass
