"""The pages in `benchmarks/results` say where they come from, and their plots are those of their tables."""

import re
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES, RESULTS, ROOT
from benchmarks.suite import BENCHMARKS, Benchmark
from benchmarks.tables import read

TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
PAGES = sorted(RESULTS.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
class TestPage:
    def test_names_the_command(self, page: Path) -> None:
        found = re.search(r"^Command: `make ([a-z-]+)[^`]*`, \d{4}-\d\d-\d\d", page.read_text(), re.MULTILINE)
        assert found is not None, "a line such as: Command: `make bench ONLY=http`, 2026-01-31 10:00 UTC"
        assert found[1] == NAMES[page.stem].target

    def test_names_the_versions(self, page: Path) -> None:
        found = re.search(r"^Versions: Python \d+\.\d+\.\d+, .*\d", page.read_text(), re.MULTILINE)
        assert found is not None, "a line such as: Versions: Python 3.11.7, Django 5.2.19"

    def test_has_rows_as_long_as_their_heads(self, page: Path) -> None:
        tables = read(page.read_text())
        assert tables
        assert all(len(row) == len(table.heads) for table in tables for row in table.rows)

    def test_has_the_plots_of_its_tables(self, page: Path) -> None:
        text = page.read_text()
        for plot in NAMES[page.stem].drawn:
            name = f"{page.stem}{plot.suffix}.svg"
            assert f"({name})" in text
            assert (RESULTS / name).read_text() == plot.draw(read(text)), "python -m benchmarks --draw"


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_a_benchmark_is_started_by_its_target(benchmark: Benchmark) -> None:
    assert benchmark.target in TARGETS
