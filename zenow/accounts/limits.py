"""Limits of attempts to sign in. They are counted in the host's store: for all workers, without any server.

One address has five attempts a minute at an account, right or wrong. All addresses together have fifty, but
this limit does not stop one from which the account signed in during the last 30 days. So guessing is slow
from one address and from a thousand, and yet strangers cannot lock people out where they usually sign in.
"""

import logging

from django.http import HttpRequest
from django.utils import timezone

from resilience import registry
from resilience.primitives import Limits, RejectedError
from resilience.request.client_address import neighbourhood_of
from zenow.accounts import known_addresses

FROM_ONE_ADDRESS = 5
FROM_ALL_ADDRESSES = 50
PER = 60.0

logger = logging.getLogger(__name__)


class TooManyAttemptsError(RejectedError):
    """There were too many attempts at the account; the password was not checked."""

    http_status = 429

    def __init__(self, retry_after: float) -> None:
        super().__init__(
            "sign-in",
            retry_after=retry_after,
            reason="there were too many attempts to sign in to this account; "
            f"please try again in {max(1, round(retry_after))} s",
        )


def count_attempt(username: str, request: HttpRequest | None) -> None:
    """Count an attempt before it is made; raise TooManyAttemptsError if it is one too many.

    Only server processes count: commands, shells and tests have no limit.
    """
    if not registry.is_server():
        return
    address = neighbourhood_of(request)
    # The address comes first, since it contains no space; a username may contain anything.
    _hit(f"sign-in {address} {username}", FROM_ONE_ADDRESS)
    try:
        _hit(f"sign-in * {username}", FROM_ALL_ADDRESSES)
    except TooManyAttemptsError:
        if not known_addresses.is_known(username, address, now=timezone.now()):
            raise


def _hit(key: str, limit: int) -> None:
    store = registry.store()
    decision = Limits(store).hit(key, limit, PER)
    if not decision.counted:
        store.counters.add("limits", "sign-in", "uncounted")
        logger.warning("An attempt to sign in could not be counted and was let through.")
    if not decision.allowed:
        store.counters.add("limits", "sign-in", "refused")
        raise TooManyAttemptsError(decision.retry_after)
