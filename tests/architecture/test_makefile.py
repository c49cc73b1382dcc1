"""Each target of the Makefile is told by `make help`, and runs whatever files lie about."""

import re
import subprocess

import pytest

from tests.architecture.test_house import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
# Rules of targets that are no files; a line that sets a variable for one (`test: export X := 1`) is none.
RULES = dict(re.findall(r"^([a-z][a-z-]*):(?! export )(.*)$", MAKEFILE, re.MULTILINE))


@pytest.fixture(scope="module")
def told() -> str:
    return said_by()


def said_by(*targets: str) -> str:
    """Return what make prints, also where make runs this test."""
    command = ["make", "--no-print-directory", *targets]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


class TestTargets:
    def test_are_phony_each(self) -> None:
        """Else a file of that name would end it: `make test` beside a folder `test` would do nothing."""
        (phony,) = re.findall(r"^\.PHONY:((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
        assert sorted(phony.replace("\\", " ").split()) == sorted(RULES)

    def test_have_a_line_of_help_each(self, told: str) -> None:
        lines = {line.split()[0]: line.strip() for line in told.splitlines() if line.startswith("  ")}
        assert lines.keys() == RULES.keys()
        assert [name for name, line in lines.items() if line == name] == []
        assert [line for line in lines.values() if len(line) > 100] == []

    def test_that_set_a_variable_have_a_rule(self) -> None:
        assert set(re.findall(r"^([a-z][a-z-]*): export ", MAKEFILE, re.MULTILINE)) <= RULES.keys()


def test_help_is_the_default(told: str) -> None:
    assert told == said_by("help")
