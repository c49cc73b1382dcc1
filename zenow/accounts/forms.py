"""The admin's form for signing in, which says so when nobody can sign in."""

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError

from resilience.auth import explained
from resilience.primitives import RejectedError


class AdminSignInForm(AdminAuthenticationForm):
    """`refusal` is why the password was not looked at, if it was not."""

    refusal: RejectedError | None = None

    def clean(self) -> dict[str, Any]:
        try:
            with explained():
                return super().clean()
        except RejectedError as error:
            self.refusal = error
            raise ValidationError(f"{error.reason[:1].upper()}{error.reason[1:]}.", code="refused") from error
