"""How often a sign-in may be tried. Counted in the host store: over all workers, and with every server dead.

Five attempts a minute at one account from one address, right or wrong, and fifty a minute at one account from
all addresses together, save from those that the account signed in from during the last 30 days. So guessing
is slow for one address and for a thousand, and yet no stranger locks anybody out where they usually sign in.
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
    """The account was tried too often; the password was not looked at."""

    http_status = 429

    def __init__(self, retry_after: float) -> None:
        super().__init__(
            "sign-in",
            retry_after=retry_after,
            reason="there were too many attempts to sign in to this account; "
            f"please try again in {max(1, round(retry_after))} s",
        )


def count_attempt(username: str, request: HttpRequest | None) -> None:
    """Count one attempt before it is made; raise TooManyAttemptsError when it is one too many.

    Only in a server process: commands, shells and tests sign in as often as they like.
    """
    if not registry.is_server():
        return
    address = neighbourhood_of(request)
    # The address stands first, since it holds no space, and a username may hold anything.
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
