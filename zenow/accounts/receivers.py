"""What is noted at each sign-in. None of it can prevent one."""

import logging
from typing import Any

from django.contrib.auth import user_logged_in
from django.contrib.auth.models import User, update_last_login
from django.db import DatabaseError, transaction

logger = logging.getLogger(__name__)


def connect() -> None:
    """Put our receiver in the place of Django's, which fails every sign-in while only the writer is down.

    Under Django's own uid: whichever app is ready first, one receiver of that name is connected, ours.
    """
    user_logged_in.disconnect(dispatch_uid="update_last_login")
    user_logged_in.connect(note_last_login, dispatch_uid="update_last_login")


def note_last_login(sender: type[User], user: User, **kwargs: Any) -> None:
    """Write when the user last signed in, if it can be written."""
    try:
        with transaction.atomic():  # A savepoint inside the admin's transaction, which has to survive.
            update_last_login(sender, user)
    except DatabaseError as error:
        logger.warning("The time of a sign-in was not stored: %s", type(error).__name__)
