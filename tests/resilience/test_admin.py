"""The history in the admin."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from resilience.models import Event

LIST = "/admin/resilience/event/"


@pytest.fixture
def client(on_both_databases: str) -> Client:
    client = Client()
    client.force_login(User.objects.create(username="admin", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def events(on_both_databases: str) -> list[Event]:
    now = timezone.now()
    data = {"before": "CLOSED", "after": "OPEN", "reason": "3 failures <of> 3"}
    common = {"host": "web1", "data": data}
    return [
        Event.objects.create(
            id=uuid.uuid4(), at=now - timedelta(days=1), kind="transition", breaker="cache", **common
        ),
        Event.objects.create(
            id=uuid.uuid4(), at=now, kind="reset", breaker="database", who="ada", why="fixed it", **common
        ),
    ]


class TestEvents:
    def test_are_listed_newest_first_with_what_changed(self, client: Client, events: list[Event]) -> None:
        page = client.get(LIST).content.decode()
        assert page.index(str(events[1].pk)) < page.index(str(events[0].pk))
        assert "CLOSED → OPEN: 3 failures &lt;of&gt; 3" in page

    @pytest.mark.parametrize("address", ["?q=fixed", "?q=ada", "?kind=reset", "?breaker=database"])
    def test_are_found_by_words_kind_and_breaker(
        self, client: Client, events: list[Event], address: str
    ) -> None:
        page = client.get(LIST + address).content.decode()
        assert str(events[1].pk) in page
        assert str(events[0].pk) not in page

    def test_are_shown_one_by_one(self, client: Client, events: list[Event]) -> None:
        page = client.get(f"{LIST}{events[1].pk}/change/")
        assert page.status_code == 200
        assert "fixed it" in page.content.decode()

    def test_cannot_be_changed_added_or_deleted(self, client: Client, events: list[Event]) -> None:
        page = f"{LIST}{events[0].pk}"
        assert client.get(f"{LIST}add/").status_code == 403
        assert client.post(f"{page}/change/", {"kind": "x"}).status_code == 403
        assert client.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
        assert Event.objects.count() == 2
