"""What tools, CI and documents are told agrees: the Pythons, the hooks before a commit, a line's length."""

import configparser
import re
from typing import Any

import pytest
import yaml

from tests.architecture.project import PROJECT, PYPROJECT, PYTHONS
from tests.architecture.test_house import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def jobs(workflow: str) -> dict[str, Any]:
    """Return the jobs of one workflow, by name."""
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / workflow).read_text())["jobs"]
    return found


class TestPythons:
    def test_are_those_that_ci_runs(self) -> None:
        test = jobs("ci.yml")["test"]
        assert test["strategy"]["matrix"]["python"] == PYTHONS
        assert test["container"]["image"].startswith("python:${{ matrix.python }}-")

    def test_begin_with_the_lowest_that_installs(self) -> None:
        assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
        major, minor = PYTHONS[0].split(".")
        assert f"sys.version_info < ({major}, {minor})" in MAKEFILE
        assert f"Python {PYTHONS[0]} or later is needed" in MAKEFILE

    def test_begin_with_the_one_that_ruff_writes_for(self) -> None:
        assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{PYTHONS[0].replace('.', '')}"

    @pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
    def test_are_those_that_a_newcomer_reads_of(self, document: str) -> None:
        listed = f"Python {', '.join(PYTHONS[:-1])} or {PYTHONS[-1]}"
        assert listed in (ROOT / document).read_text()

    def test_have_the_one_of_the_image_among_them(self) -> None:
        (used,) = re.findall(r"^FROM python:(3\.\d+)", (ROOT / "deploy" / "Dockerfile").read_text(), re.M)
        assert used in PYTHONS


class TestWorkflow:
    @pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
    def test_may_read_and_nothing_else(self, path: Any) -> None:
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {"contents": "read"}
        assert [name for name, job in workflow["jobs"].items() if "permissions" in job] == []

    @pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
    def test_uses_actions_by_a_commit_that_cannot_move(self, path: Any) -> None:
        used = re.findall(r"uses: *(.*)$", path.read_text(), re.MULTILINE)
        assert used
        assert [each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", each)] == []

    @pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
    def test_ends(self, path: Any) -> None:
        workflow = yaml.safe_load(path.read_text())
        assert "concurrency" in workflow
        assert [name for name, job in workflow["jobs"].items() if "timeout-minutes" not in job] == []

    def test_runs_what_everybody_can_run(self) -> None:
        commands = [step["run"] for step in jobs("ci.yml")["test"]["steps"] if "run" in step]
        assert commands == [".ci/run"]
        assert "make test" in (ROOT / ".ci" / "run").read_text()


class TestHooks:
    def test_are_the_commands_of_make_lint(self) -> None:
        """From .venv: the versions are those of requirements-dev.txt, and stand nowhere else."""
        (recipe,) = re.findall(r"^lint: .*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
        commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()]
        config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
        hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
        assert [hook["entry"] for hook in hooks] == commands
        assert {repository["repo"] for repository in config["repos"]} == {"local"}

    def test_look_at_the_whole_tree(self) -> None:
        config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
        assert {hook["pass_filenames"] for each in config["repos"] for hook in each["hooks"]} == {False}


def test_a_line_is_as_long_in_an_editor_as_for_ruff() -> None:
    editor = configparser.ConfigParser()
    editor.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    assert editor["*.{py,pyi}"]["max_line_length"] == str(PYPROJECT["tool"]["ruff"]["line-length"])
