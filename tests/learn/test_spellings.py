"""All spellings of one address share one stored answer, with the same bytes."""

import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.core.cache import cache
from django.test import Client

from learn.models import Category, Course, Field
from resilience import registry
from resilience.testing import server_role
from resilience.tiers import catalogue_version, fresh, stored

pytestmark = pytest.mark.django_db(transaction=True)
COMPOSED = unicodedata.normalize("NFC", "é")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


@pytest.fixture(autouse=True)
def catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("resilience.steward.start", lambda: None)
    with server_role():
        arts = Category.objects.create(title="Arts")
        music = Field.objects.create(title="Music", category=arts)
        for title in ("Jazz", "Blues", COMPOSED):
            Course.objects.create(title=title, field=music)
        yield
    forget()


def ask(client: Client, address: str) -> Any:
    host, _, path = address.rpartition(" ")
    return client.get(path, headers={"host": host} if host else {})


SPELLINGS = [
    *((f"/api/{kind}", f"/api/{kind}/") for kind in ("categories", "fields", "courses")),
    ("/api/courses?page_size=1&page=2", "/api/courses/?page=2&page_size=1"),
    ("/api/courses?page_size=1&page=3", "/api/%63ourses/?page_size=1&page=3&level="),
    ("/api/categories/arts", "/api/categories/arts/"),
    ("/api/courses/jazz/", "/api/courses/j%61zz"),
    (f"/api/courses/{quote(COMPOSED)}", f"/api/courses/{quote(DECOMPOSED)}/"),
    ("localhost /api/courses", "LocalHost /api/courses/"),
]


def forget() -> None:
    cache.clear()
    stored.forget()
    fresh.forget()


@pytest.mark.parametrize("order", [1, -1])
def test_share_one_answer(client: Client, order: int) -> None:
    for pair in SPELLINGS:
        forget()
        first, second = (ask(client, address) for address in pair[::order])
        assert (first.status_code, first["X-Data-Source"]) == (200, "live"), pair
        assert (second.status_code, second["X-Data-Source"]) == (200, "cached"), pair
        assert (second.content, second["ETag"]) == (first.content, first["ETag"])


def test_stand_in_for_each_other(client: Client) -> None:
    for one, _ in SPELLINGS:
        ask(client, one)
    catalogue_version.raise_version()  # None of them is fresh any more.
    registry.breaker("database").isolate(who="test", why="an outage")
    for _, other in SPELLINGS:
        answer = ask(client, other)
        assert (answer.status_code, answer["X-Data-Source"]) == (200, "cached"), other


def test_of_two_addresses_share_nothing(client: Client) -> None:
    for path in ("/api/courses", "/api/courses/jazz", "/api/fields/", "/api/fields/music/"):
        assert client.get(path)["X-Data-Source"] == "live"


def test_lead_on_in_one_spelling(client: Client) -> None:
    page = client.get("/api/courses/?page_size=1&page=2").json()
    assert page["next"] == "http://testserver/api/courses?page=3&page_size=1"
    assert page["previous"] == "http://testserver/api/courses?page_size=1"
    assert client.get(page["previous"]).json()["next"] == "http://testserver/api/courses?page=2&page_size=1"
