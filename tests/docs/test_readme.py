"""What the README says is so."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.test import Client

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"^curl '(http://localhost:8080[^']+)'$", README, re.MULTILINE)


@pytest.mark.django_db
class TestExamples:
    @pytest.fixture(autouse=True)
    def catalogue(self) -> None:
        fixtures = [f"fixtures/{name}.json" for name in ("categories", "fields", "courses")]
        call_command("loaddata", *(ROOT / fixture for fixture in fixtures), verbosity=0)

    def test_answer_as_shown(self, client: Client) -> None:
        answers = {url: client.get(self.path_of(url), headers={"host": "localhost:8080"}) for url in EXAMPLES}
        *good, past_the_end = answers.values()
        assert len(good) >= 5
        assert {answer.status_code for answer in good} == {200}
        (shown,) = re.findall(r"```json\n(.*?)\n```", README, re.DOTALL)
        assert json.loads(shown) == past_the_end.json()

    def test_find_something(self, client: Client) -> None:
        lists = [url for url in EXAMPLES if "?" in url][:-1]
        assert all(client.get(self.path_of(url)).json()["count"] > 0 for url in lists)

    @staticmethod
    def path_of(url: str) -> str:
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path
