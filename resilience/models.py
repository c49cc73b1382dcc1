"""The tables of the app. No request needs them while the database is away."""

from django.db import models
from django.utils import timezone


class Event(models.Model):
    """Something that happened on a host, copied from its journal (`resilience.journal`)."""

    id = models.UUIDField(primary_key=True, editable=False)
    at = models.DateTimeField(db_index=True)
    host = models.CharField(max_length=64)
    kind = models.CharField(max_length=32)
    breaker = models.CharField(max_length=64, blank=True)
    who = models.CharField(max_length=64, blank=True)
    why = models.CharField(max_length=200, blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["kind", "-at"], name="resilience_event_kind"),
            models.Index(fields=["breaker", "-at"], name="resilience_event_breaker"),
        ]

    def __str__(self) -> str:
        return " ".join(filter(None, (f"{self.at:%Y-%m-%d %H:%M:%S}", self.kind, self.breaker)))


class Breaker(models.Model):
    """A breaker of this host, as the admin and its permissions see it. It has no table: see `registry`."""

    name = models.CharField(max_length=64, primary_key=True)

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [("steer_breakers", "Can reset, isolate and disable circuit breakers")]

    def __str__(self) -> str:
        return self.name


class Minute(models.Model):
    """One counter of one store when a minute ended: its `name` (labels joined by `|`) and its `total`.

    `before` is the total when it was last written. Both only grow, so the count of a span is the greatest
    `total` less the least `before`, even if several stewards wrote a minute, or none did.
    """

    at = models.DateTimeField()
    host = models.CharField(max_length=64)
    store = models.CharField(max_length=16)
    name = models.CharField(max_length=120)
    before = models.BigIntegerField()
    total = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["at", "host", "store", "name"], name="resilience_minute_once")
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.name} {self.total}"


class IdempotencyKey(models.Model):
    """The first answer to a request, under an id made of who asked, for what, and with which key."""

    id = models.CharField(primary_key=True, max_length=32)
    fingerprint = models.CharField(max_length=32)  # of the body that was sent
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField()
    body = models.TextField()
    created = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"{self.id} {self.status}"


class Generation(models.Model):
    """A part of the catalogue version, which is the sum of all rows: see `tiers.catalogue_version`.

    `removals` rises when something went out of sight.
    """

    generation = models.BigIntegerField(default=1)
    removals = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"row {self.pk}: generation {self.generation}, removals {self.removals}"
