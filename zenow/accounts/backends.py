"""How a password is checked here: limited, guarded, then compared with the database's."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from resilience.auth import GuardedBackend
from zenow.accounts import limits


class SignInBackend(GuardedBackend, ModelBackend):
    """Check a username and a password, for the API and for the admin's form alike."""

    @sensitive_variables()
    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **others: Any,
    ) -> User | None:
        """Return the user, or None when the password is wrong.

        Raises TooManyAttemptsError before anything is asked, and what GuardedBackend raises.
        """
        limits.count_attempt(username or "", request)
        return super().authenticate(request, username=username, password=password, **others)
