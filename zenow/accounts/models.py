"""Sign-ins to the API, and the addresses that accounts have signed in from."""

from django.conf import settings
from django.db import models


class RefreshFamily(models.Model):
    """All refresh tokens that descend from one sign-in. Only the newest one is accepted."""

    class End(models.TextChoices):
        SIGNED_OUT = "signed_out", "signed out"
        REUSED = "reused", "an old token was used again"
        USER_CHANGED = "user_changed", "password changed or account deactivated"
        REVOKED = "revoked", "revoked by staff"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="refresh_families"
    )
    # The half of the token that finds the row. It is shown nowhere, so only holders of a token know it.
    selector = models.CharField(max_length=32, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    previous_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    credential = models.CharField(max_length=32, editable=False)
    created_at = models.DateTimeField("signed in")
    rotated_at = models.DateTimeField("last refreshed")
    expires_at = models.DateTimeField("expires", db_index=True)
    ended_at = models.DateTimeField("ended", null=True, blank=True)
    ended_because = models.CharField(max_length=16, choices=End.choices, blank=True, default="")

    class Meta:
        verbose_name = "sign-in"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.user} since {self.created_at:%Y-%m-%d %H:%M}"


class KnownAddress(models.Model):
    """An address (IPv6: /64) from which an account signed in lately. Strangers cannot lock it out there."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="known_addresses"
    )
    address = models.CharField(max_length=43)
    seen_at = models.DateTimeField("last sign-in", db_index=True)

    class Meta:
        verbose_name_plural = "known addresses"
        constraints = [
            models.UniqueConstraint(fields=["user", "address"], name="one_row_per_user_and_address")
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.address}"
