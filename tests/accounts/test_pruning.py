"""The chore deletes what is over, and nothing that is not."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from resilience.db import batches
from zenow.accounts import known_addresses, pruning, refresh
from zenow.accounts.models import KnownAddress, RefreshFamily

HOME = "203.0.113.9"


def test_deletes_sign_ins_that_have_expired(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_ROWS", 2)
    now = timezone.now()
    for _ in range(5):
        refresh.issue(ada, now=now - refresh.LIFETIME)
    refresh.issue(ada, now=now - refresh.LIFETIME + timedelta(minutes=1))
    pruning.run(epoch=1)
    assert RefreshFamily.objects.get().expires_at > now


def test_deletes_addresses_after_30_days(ada: User) -> None:
    now = timezone.now()
    known_addresses.remember(User.objects.create_user("bob"), HOME, now=now - known_addresses.KEPT)
    known_addresses.remember(ada, HOME, now=now - known_addresses.KEPT + timedelta(minutes=1))
    pruning.run(epoch=1)
    assert [row.user for row in KnownAddress.objects.all()] == [ada]
