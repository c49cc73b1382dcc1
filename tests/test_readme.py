"""What the README says is so."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.test import Client

from zenow.settings.resilience import RESILIENCE

ROOT = Path(__file__).resolve().parents[1]
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


class TestVariables:
    def test_are_all_those_that_are_read(self) -> None:
        """Each variable has a row in the table, and each row a reader."""
        sources = [*(ROOT / "zenow").rglob("*.py"), *(ROOT / "resilience").rglob("*.py")]
        reader = re.compile(r'(?:env\.\w+|_number|environ(?:\.get|\.setdefault)?)[(\[]"([A-Z_]+)"')
        read = {name for path in sources for name in reader.findall(path.read_text())}
        table = README[README.index("| variable |") :].partition("\n\n")[0]
        rows = {
            name for line in table.splitlines()[2:] for name in re.findall("`([A-Z_]+)`", line.split("|")[1])
        }
        assert rows == read - {"DJANGO_SETTINGS_MODULE"}


class TestBreakers:
    def test_are_those_of_the_settings(self) -> None:
        table = README[README.index("| breaker | opens after |") :].partition("\n\n")[0]
        rows = {
            name: tuple(float(cell.split()[0]) for cell in cells)
            for name, *cells in (
                [cell.strip(" `") for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]
            )
        }
        assert rows == {
            name: (entry["failure_threshold"], entry["recovery_timeout"], entry["slow_after"])
            for name, entry in RESILIENCE["BREAKERS"].items()
        }


class TestProofs:
    def test_are_targets_of_the_makefile(self) -> None:
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(re.findall(r"`make ([a-z-]+)`", README)) <= set(targets)
