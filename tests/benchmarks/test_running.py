"""A run leaves a page that says where it comes from, and its plots; a failure leaves what was there."""

import dataclasses
from pathlib import Path

import pytest

from benchmarks import __main__ as running
from benchmarks.suite import Benchmark, Dots
from benchmarks.tables import read

BENCHMARK = Benchmark(
    name="two",
    title="Two figures",
    module="tests.benchmarks.two_figures",
    versions=("Django", "redis-server"),
    drawn=(Dots(title="Both", axis="µs", labels=("what",), columns=("µs",), ours="ours"),),
)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(running, "RESULTS", tmp_path)
    monkeypatch.setattr(running, "NAMES", {"two": BENCHMARK})
    return tmp_path


class TestRun:
    def test_leaves_a_page_that_says_where_it_comes_from(self, results: Path) -> None:
        assert running.main(["--only", "two", "--rounds", "2"]) == 0
        text = (results / "two.md").read_text()
        assert text.startswith("# Two figures\n\nCommand: `make bench ONLY=two ROUNDS=2`, 20")
        assert "\nVersions: Python 3." in text
        assert "Django 5.2" in text
        assert "Redis" in text
        (table,) = read(text)
        assert table.rows[0] == ("ours", "1.5 (1.0 to 2.0)")

    def test_leaves_its_plots(self, results: Path) -> None:
        running.main(["--only", "two"])
        assert "![Both](two.svg)" in (results / "two.md").read_text()
        assert "theirs: 3" in (results / "two.svg").read_text()

    def test_that_fails_leaves_what_was_there(self, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (results / "two.md").write_text("before")
        monkeypatch.setenv("TWO_FIGURES_FAIL", "3")
        assert running.main(["--only", "two"]) == 1
        assert (results / "two.md").read_text() == "before"
        assert not (results / "two.svg").exists()

    def test_that_only_draws_passes_over_what_was_not_measured(
        self, results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        never = dataclasses.replace(BENCHMARK, name="never")
        running.main(["--only", "two"])
        (results / "two.svg").unlink()
        monkeypatch.setattr(running, "BENCHMARKS", (never, BENCHMARK))
        assert running.main(["--draw"]) == 0
        assert "never has no page yet" in capsys.readouterr().err
        assert (results / "two.svg").exists()

    def test_of_an_unknown_name_says_what_there_is(
        self, results: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            running.main(["--only", "two,three"])
        assert "no such benchmark: three; there are two" in capsys.readouterr().err
