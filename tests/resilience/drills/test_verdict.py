"""Each objective is missed by what it forbids, and by nothing else; and the report shows what was seen."""

import re
from collections.abc import Sequence
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
from resilience.drills.sign_in import Attempt
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


def attempt(at: float = 2.0, **said: Any) -> Attempt:
    return replace(Attempt(at=at, seconds=0.3, how="refresh", status=200, retry_after=False), **said)


def signed_in(*attempts: Attempt, reads: Sequence[Answer] = ()) -> Result:
    seen = result(*reads)
    return replace(seen, plan=replace(seen.plan, user="ada"), sign_ins=list(attempts))


class TestJudgeSignIns:
    HONEST = (attempt(), attempt(status=503, retry_after=True), attempt(status=429, retry_after=True))

    def test_passes_a_good_drill(self) -> None:
        assert missed(signed_in(*self.HONEST, attempt(9.0))) == []

    @pytest.mark.parametrize("status", [0, 401, 409, 500, 503, 429])
    def test_forbids_any_other_answer(self, status: int) -> None:
        assert missed(signed_in(attempt(status=status), attempt(9.0))) == [5]

    def test_forbids_a_401_that_says_when_to_try_again(self) -> None:
        assert missed(signed_in(attempt(status=401, retry_after=True), attempt(9.0))) == [5]

    def test_forbids_a_slow_one(self) -> None:
        assert missed(signed_in(attempt(seconds=4.0))) == [6]

    def test_forbids_that_a_token_stops_reading(self) -> None:
        assert missed(signed_in(attempt(), reads=[answer(3.0, status=401, source="401")])) == [7]

    def test_forbids_that_it_is_still_down_at_the_end(self) -> None:
        assert missed(signed_in(attempt(), attempt(9.0, status=503, retry_after=True))) == [8]

    def test_passes_nothing_where_nobody_signed_in(self) -> None:
        assert missed(signed_in()) == [5, 8]


class TestReport:
    def test_parts_the_answers_by_the_fault(self) -> None:
        parts = report.phases(result(answer(4.0), answer(18.0)))
        assert {name: len(answers) for name, answers in parts.items()} == {
            "before": 1,
            "during": 1,
            "after": 2,
        }

    def test_counts_why_answers_were_degraded_or_refused(self) -> None:
        seen = result(
            answer(2.1, source="static", reason="busy"),
            answer(2.2, source="static", reason="unavailable"),
            answer(2.3, status=503, source="503", reason="busy"),
        )
        assert report.summary(seen.answers)["reasons"] == {"busy": 2, "unavailable": 1}
        assert "<td>busy: 2, unavailable: 1</td>" in report.as_html(seen, judge(seen))

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

    def test_shows_how_sign_ins_were_answered(self) -> None:
        seen = signed_in(attempt(0.5), attempt(status=503, retry_after=True), attempt(3.0, status=0))
        page = report.as_html(seen, judge(seen))
        assert report.sign_ins(seen) == {
            "before": ["1", "300 ms", "200: 1"],
            "during": ["2", "300 ms", "no answer: 1, 503: 1"],
            "after": ["0", "0 ms", ""],
        }
        assert "no answer: 1, 503: 1" in page
        assert "Sign-ins" not in report.as_html(result(), [])

    def test_escapes_what_was_given(self) -> None:
        assert "/a?b=&lt;c&gt;" in report.as_html(result(), [])

    def test_lies_in_two_files(self, tmp_path: Path) -> None:
        page, data = report.write(tmp_path / "new", result(), judge(result()))
        assert page.name == "20231114T221320Z-database-error.html"
        assert '"passed": true' in data.read_text()


def plots_of(page: str) -> list[ElementTree.Element]:
    found = re.findall("<svg.*?</svg>", page, re.DOTALL)
    return [ElementTree.fromstring(plot) for plot in found]  # noqa: S314 (our own)
