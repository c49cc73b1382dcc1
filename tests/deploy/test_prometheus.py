"""Rules and dashboard of deploy/prometheus, by promtool and against what the site really exposes."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

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
            counters.add("shed", "read", "busy")
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
        assert len(rules) == 17
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


# Grafana's own, with what stands for each when promtool reads it.
BUILT_IN = {"__rate_interval": "5m", "__range": "6h"}
PANELS = {"state-timeline", "timeseries", "stat"}


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
    return found


@pytest.fixture(scope="module")
def queries(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


class TestDashboard:
    """Grafana is not asked: this is what it wants of a file that it provisions, by its documentation."""

    def test_is_one_that_grafana_provisions(self, dashboard: dict[str, Any]) -> None:
        # An import form would ask for `__inputs`; provisioning asks nobody, and gives the id itself.
        assert {"__inputs", "__requires", "id"}.isdisjoint(dashboard)
        assert dashboard["title"]
        assert re.fullmatch(r"[\w-]{1,40}", dashboard["uid"])
        assert dashboard["schemaVersion"] >= 36  # From there on a data source is an object.
        assert dashboard["annotations"] == {"list": []}

    def test_has_whole_panels_each_once(self, dashboard: dict[str, Any]) -> None:
        panels = dashboard["panels"]
        for key in ("id", "title"):
            assert len({panel[key] for panel in panels}) == len(panels)
        for panel in panels:
            assert panel["type"] in PANELS
            assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}
            assert {"defaults", "overrides"} <= panel["fieldConfig"].keys(), panel["title"]
            names = [target["refId"] for target in panel["targets"]]
            assert names == list("ABCD"[: len(names)])

    def test_has_no_panel_on_another_or_beyond_the_edge(self, dashboard: dict[str, Any]) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in dashboard["panels"]:
            at = panel["gridPos"]
            assert at["x"] + at["w"] <= 24
            places = set(product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
            assert taken.isdisjoint(places), panel["title"]
            taken |= places

    def test_declares_each_variable_before_it_is_used_and_no_other(self, dashboard: dict[str, Any]) -> None:
        declared: set[str] = set()
        for variable in dashboard["templating"]["list"]:
            assert used(variable) <= declared
            declared.add(variable["name"])
        assert used(dashboard["panels"]) - BUILT_IN.keys() == declared

    @with_promtool
    def test_asks_what_prometheus_can_parse(self, queries: list[str], tmp_path: Path) -> None:
        # JSON is YAML, which rules are written in.
        rules = [{"record": f"query:{n}", "expr": parsable(query)} for n, query in enumerate(queries)]
        file = tmp_path / "queries.yml"
        file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
        checked = promtool("check", "rules", f"{file}")
        assert checked.returncode == 0, checked.stderr
        assert f"{len(queries)} rules found" in checked.stdout

    def test_asks_by_labels_that_the_metrics_have(self, queries: list[str]) -> None:
        labels = exposed_labels()
        for query in queries:
            named = re.findall(r"(resilience_\w+)\{([^}]*)\}", query)
            assert named, query
            for metric, selector in named:
                assert set(re.findall(r"(\w+)=", selector)) <= labels[metric], query
            for grouping in re.findall(r"(?:by|on) \(([^)]*)\)", query):
                assert all(set(re.split(r", *", grouping)) <= labels[metric] for metric, _ in named), query

    def test_names_in_its_legends_only_what_the_answers_have(self, dashboard: dict[str, Any]) -> None:
        labels = exposed_labels()
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                grouped = re.search(r"^\w+ by \(([^)]*)\)", target["expr"])
                if grouped:
                    assert wanted <= set(re.split(r", *", grouped[1])), panel["title"]
                else:
                    metric = re.search(r"resilience_\w+", target["expr"])
                    assert metric is not None
                    assert wanted <= labels[metric[0]], panel["title"]


def used(part: Any) -> set[str]:
    """Return the variables that a part of the dashboard names."""
    return set(re.findall(r"\$\{?(\w+)", json.dumps(part)))


def parsable(query: str) -> str:
    """Return the query as Prometheus gets it."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: BUILT_IN.get(found[1], "any"), query)


def exposed_labels() -> dict[str, set[str]]:
    """Return the labels of each metric, with those that scraping adds."""
    with server_role():
        families = list(metrics.HostCollector().collect())
    return {
        family.name + ("_total" if family.type == "counter" else ""): {
            "job",
            "instance",
            *getattr(family, "_labelnames", ()),
        }
        for family in families
    }
