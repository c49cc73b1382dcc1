"""Notes about each sign-in. A failure to store them does not prevent it."""

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
    """Replace Django's receiver, which fails every sign-in while the database only takes reads.

    Ours has the uid of Django's. So whichever app is ready first, only ours is connected.
    """
    user_logged_in.disconnect(dispatch_uid="update_last_login")
    user_logged_in.connect(note_sign_in, dispatch_uid="update_last_login")


def note_sign_in(sender: type[User], user: User, request: HttpRequest | None = None, **kwargs: Any) -> None:
    """Store when the user signed in and from which address, if that is possible."""
    try:
        with transaction.atomic():  # a savepoint, if there is a transaction already, which has to survive
            update_last_login(sender, user)
            if address := neighbourhood_of(request):
                known_addresses.remember(user, address, now=timezone.now())
    except DatabaseError as error:
        registry.store().counters.add("sign-ins", "not noted")
        logger.warning("Time and address of a sign-in were not stored: %s", type(error).__name__)
