"""A site with one row of everything, and the people who may come to it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from learn.models import Category, Course, Field
from resilience import conf
from resilience.defaults import DEADLINES
from resilience.models import Event
from resilience.testing import server_role
from resilience.tiers import fresh, stored
from zenow.accounts import access, refresh
from zenow.accounts.models import KnownAddress, RefreshFamily

OPS_TOKEN = "ops-" + "0123456789abcdef" * 2


@dataclass(frozen=True)
class Person:
    """Somebody with all that they can show: the cookies of a browser and a bearer token."""

    name: str
    address: str
    cookies: dict[str, str]
    bearer: str = ""
    # One each: a new one sets up all middleware anew.
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False), repr=False)

    def asks(self, method: str, path: str) -> Any:
        """Ask once with an empty body; what an answer sets is not kept."""
        self.client.cookies.clear()
        self.client.cookies.load(self.cookies)
        is_api = path.startswith("/api/")
        return self.client.generic(
            method,
            path,
            "" if method in ("GET", "HEAD", "OPTIONS") else "{}" if is_api else "x=y",
            content_type="application/json" if is_api else "application/x-www-form-urlencoded",
            headers={"Authorization": f"Bearer {self.bearer}"} if self.bearer else {},
            REMOTE_ADDR=self.address,
        )


@pytest.fixture
def server(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be a server process with an OPS_TOKEN and a partner that nobody can reach."""
    settings.OPS_TOKEN = OPS_TOKEN
    settings.RATINGS_URL = "http://127.0.0.1:1"
    # On a busy machine an answer may take its time: what is asked here is which one it is.
    patient = {
        "DEADLINES": dict.fromkeys(DEADLINES, 60.0),
        "BREAKERS": {name: {**breaker, "slow_after": 60.0} for name, breaker in conf.get("BREAKERS").items()},
    }
    settings.RESILIENCE = {**settings.RESILIENCE, **patient, "STATIC_DIR": str(tmp_path)}
    monkeypatch.setattr("resilience.steward.start", lambda: None)
    with server_role():
        yield
    cache.clear()
    stored.forget()
    fresh.forget()


@pytest.fixture
def people(server: None, request: pytest.FixtureRequest) -> dict[str, Person]:
    """Return who may come, by name; the test asks for a database in its own way."""
    steers = Permission.objects.get(codename="steer_breakers")
    User.objects.create_user("user")
    User.objects.create_user("staff", is_staff=True)
    User.objects.create_user("steerer", is_staff=True).user_permissions.add(steers)
    User.objects.create_superuser("superuser")
    found = [Person("anonymous", "192.0.2.1", {}), Person("ops", "192.0.2.2", {}, OPS_TOKEN)]
    for user in User.objects.all():
        client = Client()
        client.force_login(user)
        cookies = {name: morsel.value for name, morsel in client.cookies.items()}
        found.append(Person(user.username, f"192.0.2.{len(found) + 1}", cookies, access.mint(user)))
    return {person.name: person for person in found}


@pytest.fixture
def examples(people: dict[str, Person]) -> dict[str, dict[str, str]]:
    """Store one row of everything; return what fills the parameters of an address, by how it begins."""
    user = User.objects.get(username="user")
    category = Category.objects.create(title="Arts")
    course = Course.objects.create(title="Jazz", field=Field.objects.create(title="Music", category=category))
    refresh.issue(user, now=timezone.now())
    known = KnownAddress.objects.create(user=user, address="192.0.2.9", seen_at=timezone.now())
    event = Event.objects.create(id=uuid.uuid4(), at=timezone.now(), host="here", kind="pass")
    rows = {
        "learn/category": category.pk,
        "learn/field": course.field.pk,
        "learn/course": course.pk,
        "accounts/refreshfamily": RefreshFamily.objects.get().pk,
        "accounts/knownaddress": known.pk,
        "resilience/event": event.pk,
        "resilience/breaker": "database",
        "auth/group": Group.objects.create(name="editors").pk,
        "auth/user": user.pk,
    }
    return {
        **{f"/admin/{name}/": {"object_id": str(key), "id": str(key)} for name, key in rows.items()},
        "/admin/r/": {"content_type_id": "1", "object_id": "1"},
        "/admin/": {"app_label": "learn", "url": "nothing/here"},
        "/api/categories/": {"slug": "arts"},
        "/api/fields/": {"slug": "music"},
        "/api/courses/": {"slug": "jazz"},
    }
