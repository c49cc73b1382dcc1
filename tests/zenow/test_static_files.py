"""Static files: by their hashed names where they were collected, and never the cause of an error page."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.test import Client
from django.urls import reverse

from zenow.settings import base

COLLECTED = {"resilience/board.css": "resilience/board.0123456789ab.css"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    """Production's storage, into a folder of which nobody has collected anything."""
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = base.STORAGES
    return tmp_path


class TestCollected:
    def test_are_named_by_their_content(self, folder: Path) -> None:
        (folder / "staticfiles.json").write_text(json.dumps({"version": "1.1", "paths": COLLECTED}))
        assert staticfiles_storage.url("resilience/board.css") == "/static/resilience/board.0123456789ab.css"

    def test_before_a_file_was_added_give_that_by_its_plain_name(self, folder: Path) -> None:
        (folder / "staticfiles.json").write_text(json.dumps({"version": "1.1", "paths": COLLECTED}))
        assert staticfiles_storage.url("resilience/board.js") == "/static/resilience/board.js"


@pytest.mark.django_db
class TestNeverCollected:
    @pytest.mark.parametrize(
        ("page", "status"), [("resilience-board:board", 403), ("admin:login", 200), ("home", 200)]
    )
    def test_leave_every_page_and_what_it_needs(self, client: Client, page: str, status: int) -> None:
        answer = client.get(reverse(page))
        assert answer.status_code == status

    def test_are_served_from_where_they_lie(self, client: Client) -> None:
        assert (
            "/static/resilience/board.css" in client.get(reverse("resilience-board:board")).content.decode()
        )
        for name in ("resilience/board.css", "resilience/board.js", "admin/css/base.css"):
            answer = client.get(staticfiles_storage.url(name))
            assert answer.status_code == 200
            assert b"".join(answer)

    def test_are_missed_once_in_the_log(self, client: Client, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(2):
            client.get(reverse("resilience-board:board"))
        (said,) = [record for record in caplog.records if "collectstatic" in record.message]
        assert said.levelname == "WARNING"
