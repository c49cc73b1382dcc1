"""What is noted at each sign-in. None of it can prevent one."""

import logging
from typing import Any

from django.contrib.auth import user_logged_in
from django.contrib.auth.models import User, update_last_login
from django.db import DatabaseError, transaction
from django.http import HttpRequest
from django.utils import timezone

from resilience import registry
from resilience.request.client_address import neighbourhood_of
from zenow.accounts import known_addresses

logger = logging.getLogger(__name__)


def connect() -> None:
    """Put our receivers in the place of Django's, which fails every sign-in while only the writer is down.

    Under Django's own uid: whichever app is ready first, one receiver of that name is connected, ours.
    """
    user_logged_in.disconnect(dispatch_uid="update_last_login")
    user_logged_in.connect(note_sign_in, dispatch_uid="update_last_login")


def note_sign_in(sender: type[User], user: User, request: HttpRequest | None = None, **kwargs: Any) -> None:
    """Write when the user signed in and from where, if it can be written."""
    try:
        with transaction.atomic():  # A savepoint where there is a transaction already, which has to survive.
            update_last_login(sender, user)
            if address := neighbourhood_of(request):
                known_addresses.remember(user, address, now=timezone.now())
    except DatabaseError as error:
        registry.store().counters.add("sign-ins", "not noted")
        logger.warning("Time and address of a sign-in were not stored: %s", type(error).__name__)
