"""`GET /api/admin/history`, as operators ask for it."""

import pytest
from django.test import Client
from pytest_django import Settings

from resilience import registry
from resilience.journal import reading
from resilience.testing import server_role

TOKEN = "o" * 40
ADDRESS = "/api/admin/history"


@pytest.fixture(autouse=True)
def _token(settings: Settings) -> None:
    settings.OPS_TOKEN = TOKEN


@pytest.mark.django_db
class TestHistory:
    @pytest.mark.parametrize(
        ("query", "span"), [("", "day"), ("?span=hour", "hour"), ("?span=month", "month")]
    )
    def test_is_told_to_who_may_steer(self, client: Client, query: str, span: str) -> None:
        answer = client.get(ADDRESS + query, headers={"authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        assert (answer.json()["span"], answer.json()["from"]) == (span, "database")
        assert answer.headers["Cache-Control"] == "no-store"

    def test_is_told_to_nobody_else(self, client: Client) -> None:
        assert client.get(ADDRESS).status_code == 401

    def test_knows_three_spans(self, client: Client) -> None:
        answer = client.get(f"{ADDRESS}?span=year", headers={"authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 400
        assert "hour" in answer.json()["errors"][0]["allowed"]


def test_comes_from_the_journal_while_the_database_is_refused(client: Client) -> None:
    """No database at all: a query would be an error here."""
    with server_role():
        registry.breaker("database").isolate(who="ada", why="a test")
        answer = client.get(ADDRESS, headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.json()["from"] == reading.FromJournal.name
