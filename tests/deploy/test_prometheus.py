"""Rules and dashboard of deploy/prometheus, by promtool and against what the site really exposes."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience import registry
from resilience.observe import metrics
from resilience.primitives import Outcome
from resilience.testing import server_role

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
PROMTOOL = shutil.which("promtool")

with_promtool = pytest.mark.skipif(
    PROMTOOL is None and "CI" not in os.environ, reason="promtool is not installed (Debian: prometheus)"
)


def promtool(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [PROMTOOL or "promtool", *arguments]
    return subprocess.run(command, cwd=FOLDER, input=text, capture_output=True, text=True, timeout=50)


@pytest.fixture
def exposed() -> Iterator[str]:
    """The metrics of a host on which something of each kind has happened."""
    with server_role():
        breaker = registry.breaker("database")
        for _ in range(3):
            breaker.settle(breaker.admit(), Outcome.FAILURE, operation="query")
        with registry.bulkhead("read").enter():
            counters = registry.store().counters
            counters.add("responses", "live")
            counters.add("dropped", "events")
            yield metrics.exposition("text/plain")[0].decode()


@with_promtool
class TestRules:
    def test_are_valid(self) -> None:
        checked = promtool("check", "rules", "rules.yml")
        assert checked.returncode == 0, checked.stderr

    def test_alert_when_they_should_and_only_then(self) -> None:
        tested = promtool("test", "rules", "rules.test.yml")
        assert tested.returncode == 0, tested.stdout + tested.stderr

    def test_each_is_tested(self) -> None:
        rules = set(re.findall(r"alert: (\w+)", (FOLDER / "rules.yml").read_text()))
        assert len(rules) == 11
        assert rules == set(re.findall(r"alertname: (\w+)", (FOLDER / "rules.test.yml").read_text()))

    def test_come_with_a_valid_example_of_scraping(self) -> None:
        checked = promtool("check", "config", "--syntax-only", "scrape.yml")
        assert checked.returncode == 0, checked.stderr

    def test_metrics_are_as_prometheus_would_have_them(self, exposed: str) -> None:
        checked = promtool("check", "metrics", text=exposed)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


class TestNames:
    @pytest.mark.parametrize("file", ["rules.yml", "rules.test.yml", "dashboard.json"])
    def test_are_those_that_the_site_exposes(self, exposed: str, file: str) -> None:
        named = set(re.findall(r"resilience_\w+", (FOLDER / file).read_text()))
        families = set(re.findall(r"^# TYPE (\w+)", exposed, re.MULTILINE))
        assert len(named) > 5
        assert named <= families

    def test_dashboard_has_no_panel_twice(self) -> None:
        panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
        assert (
            len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
        )
