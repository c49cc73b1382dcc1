"""`docs/settings.md` says what the code reads, and what it does without."""

import ast
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from resilience import conf, defaults, http
from tests.docs import settings_page
from tests.docs.blocks import ROOT, blocks, text

PAGE = settings_page.PAGE.read_text()
# Read by the same words, and no variable of ours: what a request carries, and what systemd says.
NO_SETTINGS = {"DJANGO_SETTINGS_MODULE", "CONTENT_LENGTH", "CONTENT_TYPE", "REQUEST_METHOD", "NOTIFY_SOCKET"}
SOURCES = [path for package in ("zenow", "resilience") for path in (ROOT / package).rglob("*.py")]


def variables() -> dict[str, str]:
    """Return the default of each variable in the page's first table; rows may name several."""
    table = PAGE[PAGE.index("| variable |") :].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {name: default for names, default, _ in rows for name in re.findall("`([A-Z_]+)`", names)}


class TestTables:
    def test_are_those_that_the_code_makes(self) -> None:
        assert settings_page.made() == PAGE, "run `make settings-page`"

    def test_say_something_of_every_setting(self) -> None:
        rows = re.findall(r"^\| `\w+` \|.*\| *([^|]*) \|$", settings_page.tables(), re.MULTILINE)
        assert len(rows) > len(defaults.SETTINGS)
        assert all(rows)


class TestExample:
    def test_adds_a_breaker_for_http_and_keeps_the_usual_ones(self, settings: Any, tmp_path: Path) -> None:
        (example,) = blocks("docs/settings.md", "python")
        file = tmp_path / "example.py"
        file.write_text(example)
        settings.RESILIENCE = runpy.run_path(str(file))["RESILIENCE"]

        assert list(conf.breakers()) == [*defaults.BREAKERS, "stock"]
        assert conf.classify("stock") is http.classify
        assert conf.deadlines() == {name: one.default for name, one in defaults.DEADLINES.items()} | {
            "read": 1.8
        }

    def test_of_a_pool_knows_how_many_threads_are_left(self) -> None:
        taken = sum(pool["running"] + pool["waiting"] for pool in defaults.BULKHEADS.values())
        assert f"the usual pools fill {taken} of 112 threads" in text("CONTRIBUTING.md")


class TestVariables:
    def test_are_all_those_that_are_read(self) -> None:
        """Each variable has a row in the table, and each row a reader."""
        reader = re.compile(r'(?:env\.\w+|_number|environ(?:\.get|\.setdefault)?)[(\[]"([A-Z_]+)"')
        read = {name for path in SOURCES for name in reader.findall(path.read_text())}
        assert set(variables()) == read - NO_SETTINGS

    def test_are_what_the_code_says_where_nobody_sets_them(self) -> None:
        said = variables()
        for name, default in literal_defaults(ROOT / "zenow/settings/base.py").items():
            if default not in ("", "[]"):
                assert {"False": "off"}.get(default, default) in said[name], name


def literal_defaults(path: Path) -> dict[str, str]:
    """Return the defaults that a settings module writes beside the variables it reads."""
    found = {}
    for call in ast.walk(ast.parse(path.read_text())):
        if not isinstance(call, ast.Call) or not call.args or not isinstance(call.args[0], ast.Constant):
            continue
        given = [keyword.value for keyword in call.keywords if keyword.arg == "default"] + call.args[1:2]
        name = call.args[0].value
        if (
            given
            and isinstance(name, str)
            and name.isupper()
            and isinstance(given[0], ast.Constant | ast.List)
        ):
            found[name] = str(ast.literal_eval(given[0]))
    return found


@pytest.mark.parametrize("name", sorted(defaults.BREAKERS))
def test_a_usual_breaker_opens_as_the_readme_says(name: str) -> None:
    entry = defaults.BREAKERS[name]
    (row,) = re.findall(rf"^\| `{name}` \| (.*) \|$", text("README.md"), re.MULTILINE)
    assert [float(cell.split()[0]) for cell in row.split(" | ")] == [
        entry["failure_threshold"],
        entry["recovery_timeout"],
        entry["slow_after"],
    ]
