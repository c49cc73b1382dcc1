"""The admin's sign-in form, which says so if nobody can sign in."""

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError

from resilience.auth import explained
from resilience.primitives import RejectedError


class AdminSignInForm(AdminAuthenticationForm):
    """`refusal` is the reason why the password was not checked, if it was not."""

    refusal: RejectedError | None = None

    def clean(self) -> dict[str, Any]:
        try:
            with explained():
                return super().clean()
        except RejectedError as error:
            self.refusal = error
            raise ValidationError(f"{error.reason[:1].upper()}{error.reason[1:]}.", code="refused") from error
