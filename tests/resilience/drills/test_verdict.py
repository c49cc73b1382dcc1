"""Each objective is missed by what it forbids, and by nothing else; and the report shows what was seen."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.conf import LazySettings

from resilience.drills import report
from resilience.drills.load import Answer
from resilience.drills.plan import Plan
from resilience.drills.run import Result
from resilience.drills.verdict import judge


@pytest.fixture(autouse=True)
def breakers(settings: LazySettings) -> None:
    settings.RESILIENCE = {"NAMESPACE": "shop", "BREAKERS": {"database": {"recovery_timeout": 15.0}}}


def answer(at: float, **said: Any) -> Answer:
    return replace(Answer(at=at, seconds=0.01, path="/a", status=200, source="live"), **said)


def result(*answers: Answer, recovered: float | None = 14.0, met: int = 3) -> Result:
    plan = Plan(names=["database"], kind="error", seconds=3, url="http://localhost", paths=["/a?b=<c>"])
    return Result(
        plan=plan,
        at=1_700_000_000.0,
        fault=(1.0, 4.0),
        length=19.0,
        answers=[answer(0.5), answer(2.0, source="static"), *answers],
        states=[(0.0, "database", "CLOSED"), (1.5, "database", "OPEN"), (18.0, "database", "CLOSED")],
        recovered=recovered,
        met={"database": met},
    )


def missed(seen: Result) -> list[int]:
    return [number for number, objective in enumerate(judge(seen)) if not objective.met]


class TestJudge:
    def test_passes_a_good_drill(self) -> None:
        assert missed(result()) == []

    @pytest.mark.parametrize("status", [0, 500, 503])
    def test_forbids_a_read_without_an_answer(self, status: int) -> None:
        assert missed(result(answer(3.0, status=status, source=str(status)))) == [0]

    def test_forbids_a_slow_read(self) -> None:
        assert missed(result(answer(3.0, seconds=2.5))) == [1]

    def test_forbids_a_wrong_label(self) -> None:
        assert missed(result(answer(3.0, mislabelled="its age is not said"))) == [2]

    @pytest.mark.parametrize("recovered", [None, 16.1])
    def test_forbids_a_late_recovery(self, recovered: float | None) -> None:
        assert missed(result(recovered=recovered)) == [3]

    def test_allows_a_second_beyond_the_open_interval(self) -> None:
        assert missed(result(recovered=16.0)) == []

    def test_forbids_a_fault_that_no_call_met(self) -> None:
        assert missed(result(met=0)) == [4]

    def test_passes_nothing_where_nothing_was_read(self) -> None:
        assert missed(replace(result(), answers=[])) == [0]


class TestReport:
    def test_parts_the_answers_by_the_fault(self) -> None:
        parts = report.phases(result(answer(4.0), answer(18.0)))
        assert {name: len(answers) for name, answers in parts.items()} == {
            "before": 1,
            "during": 1,
            "after": 2,
        }

    def test_needs_nothing_but_itself(self) -> None:
        page = report.as_html(result(), judge(result()))
        assert "http://localhost" in page
        assert not any(word in page for word in ("<script", "src=", "href=", "@import", "url("))

    def test_shows_every_answer_and_state_in_well_formed_plots(self) -> None:
        page = report.as_html(result(), judge(result()))
        plots = plots_of(page)
        assert len(plots) == 3
        assert len(plots[0].findall("circle")) == 2
        assert [title.text for title in plots[2].iter("title")][1] == "OPEN from 1.5 s to 18.0 s"

    def test_escapes_what_was_given(self) -> None:
        assert "/a?b=&lt;c&gt;" in report.as_html(result(), [])

    def test_lies_in_two_files(self, tmp_path: Path) -> None:
        page, data = report.write(tmp_path / "new", result(), judge(result()))
        assert page.name == "20231114T221320Z-database-error.html"
        assert '"passed": true' in data.read_text()


def plots_of(page: str) -> list[ElementTree.Element]:
    found = re.findall("<svg.*?</svg>", page, re.DOTALL)
    return [ElementTree.fromstring(plot) for plot in found]  # noqa: S314 (our own)
