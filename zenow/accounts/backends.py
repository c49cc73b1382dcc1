"""Check a password: behind a limit and a guard, it is compared with the one in the database."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from resilience.auth import GuardedBackend
from zenow.accounts import limits


class SignInBackend(GuardedBackend, ModelBackend):
    """Check a username and a password, for the API and the admin's form alike."""

    @sensitive_variables()
    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **others: Any,
    ) -> User | None:
        """Return the user, or None if the password is wrong.

        Raises TooManyAttemptsError before the database is asked, and the errors of GuardedBackend.
        """
        limits.count_attempt(username or "", request)
        return super().authenticate(request, username=username, password=password, **others)
