"""The breakers and their history in the admin."""

import re
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from resilience import registry
from resilience.models import Event
from resilience.primitives import State
from resilience.testing import server_role

LIST = "/admin/resilience/event/"
BREAKERS = "/admin/resilience/breaker/"


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

    def test_have_a_filter_with_a_word_for_no_breaker(self, client: Client, events: list[Event]) -> None:
        Event.objects.filter(pk=events[0].pk).update(breaker="")
        page = client.get(LIST).content.decode()
        assert re.search(r'<a href="\?breaker="[^>]*>\s*no breaker\s*</a>', page)

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


class TestBreakers:
    @pytest.fixture(autouse=True)
    def _server(self, client: Client) -> Iterator[None]:
        with server_role():
            yield

    def test_are_listed_and_found_by_name(self, client: Client) -> None:
        page = client.get(BREAKERS).content.decode()
        assert all(f'value="{name}"' in page for name in registry.breakers())
        found = client.get(f"{BREAKERS}?q=CAC").content.decode()
        assert 'value="cache"' in found
        assert 'value="auth"' not in found

    def test_are_ordered_about_only_after_a_reason_was_asked_for(self, client: Client) -> None:
        order = {"breakers": ["cache", "auth"], "action": "isolate"}
        assert "cache, auth" in client.post(BREAKERS, order).content.decode()
        assert registry.breaker("cache").shown() is State.CLOSED
        client.post(BREAKERS, order | {"confirmed": "yes", "reason": "a drill", "end": "60"})
        found = registry.breaker("auth").snapshot().override
        assert found is not None
        assert (found.who, found.why) == ("admin", "a drill")
        client.post(BREAKERS, order | {"confirmed": "yes", "action": "auto"})
        assert registry.breaker("auth").snapshot().override is None

    def test_are_left_alone_by_an_order_without_a_reason(self, client: Client) -> None:
        order = {"breakers": "cache", "action": "isolate", "confirmed": "yes"}
        assert "needs a reason" in client.post(BREAKERS, order, follow=True).content.decode()
        assert registry.breaker("cache").shown() is State.CLOSED

    def test_are_not_for_staff_without_the_permission(self, client: Client) -> None:
        client.force_login(User.objects.create(username="bob", is_staff=True))
        order = {"breakers": "cache", "action": "reset", "confirmed": "yes"}
        assert [client.get(BREAKERS).status_code, client.post(BREAKERS, order).status_code] == [403, 403]

    def test_need_the_page_s_own_form(self, client: Client) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.cookies = client.cookies
        order = {"breakers": "cache", "action": "isolate", "confirmed": "yes", "reason": "mischief"}
        assert strict.post(BREAKERS, order).status_code == 403
        assert registry.breaker("cache").shown() is State.CLOSED
