"""What the app keeps in the database; nothing that a request needs when that is away."""

from django.db import models
from django.utils import timezone


class Event(models.Model):
    """Something that happened on a host, copied from its journal (`resilience.observe`)."""

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
    """One counter of one store when a minute ended, as `name` (labels parted by `|`) and its `total`.

    `before` is what it was a minute earlier. Both only grow, so a span has counted the greatest `total` less
    the least `before`, however many stewards wrote it down, and even if a minute is missing.
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
    """The first answer to a request, by who asked for what, and under which key."""

    id = models.CharField(primary_key=True, max_length=32)
    fingerprint = models.CharField(max_length=32)  # of the body that was sent
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField()
    body = models.TextField()
    created = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"{self.id} {self.status}"


class Generation(models.Model):
    """How often the catalogue was written, and how often something went out of sight: one row."""

    generation = models.BigIntegerField(default=1)
    removals = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"generation {self.generation}, removals {self.removals}"
