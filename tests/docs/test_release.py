"""The version stands in one place; the pages that name it for readers name that one."""

import itertools
import re
from datetime import date
from pathlib import Path

import pytest

from tests.architecture.project import PROJECT, PYPROJECT, VERSION
from tests.architecture.test_house import PRODUCT, ROOT, python_files
from tests.docs.blocks import DOCUMENTS, text

CHANGELOG = text("CHANGELOG.md")
HEADINGS = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
MINOR = VERSION.rpartition(".")[0]


def released() -> list[tuple[tuple[int, ...], date]]:
    """Return version and day of each release, as the changelog has them in turn."""
    found = []
    for heading in HEADINGS[1:]:
        version, _, day = heading.partition(" - ")
        found.append((tuple(map(int, version.split("."))), date.fromisoformat(day)))
    return found


class TestChangelog:
    def test_begins_with_what_is_not_released_and_then_the_version_that_is(self) -> None:
        assert HEADINGS[0] == "Unreleased"
        assert released()[0][0] == tuple(map(int, VERSION.split(".")))

    def test_is_in_order_newest_first(self) -> None:
        for (newer, later), (older, earlier) in itertools.pairwise(released()):
            assert newer > older
            assert later >= earlier

    def test_says_of_each_change_of_which_kind_it_is(self) -> None:
        kinds = set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE))
        assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
        for section in re.split(r"^## .+$", CHANGELOG, flags=re.MULTILINE)[1:]:
            assert "- " not in section.partition("\n### ")[0]


class TestVersion:
    def test_stands_in_no_code(self) -> None:
        """Also not in a setting: what shows it would have to be raised with it."""
        files = [*python_files(*PRODUCT), ROOT / "manage.py"]
        assert [path for path in files if re.search(rf"\b{re.escape(VERSION)}\b", path.read_text())] == []

    def test_has_a_section_for_those_who_upgrade(self) -> None:
        targets = re.findall(r"^## From [\d.]+ to ([\d.]+)$", text("docs/upgrading.md"), re.MULTILINE)
        assert targets[0] == MINOR

    def test_leaves_room_there_for_what_is_not_released(self) -> None:
        assert re.findall(r"^## (.+)$", text("docs/upgrading.md"), re.MULTILINE)[0] == "Unreleased"

    def test_gets_fixes_of_security(self) -> None:
        rows = re.findall(r"^\| (\d+\.\d+) \| (\w+)", text("SECURITY.md"), re.MULTILINE)
        assert rows[0] == (MINOR, "yes")


class TestMovedPaths:
    def test_are_listed_as_the_warnings_of_the_old_places_say(self) -> None:
        moved = r'"(resilience[\w.]+) is now (resilience[\w.]+)"'
        warned = {pair for path in python_files("resilience") for pair in re.findall(moved, path.read_text())}
        rows = re.findall(
            r"^\| `(resilience[\w.]+)` \| `(resilience[\w.]+)` \|$", text("docs/upgrading.md"), re.M
        )
        assert warned
        assert warned <= set(rows)


class TestLicence:
    def test_is_the_one_that_is_declared(self) -> None:
        assert PROJECT["license"] == "BSD-3-Clause"
        assert re.match(r"Copyright \(c\) \d{4}, Zenow Learn contributors\n", (ROOT / "LICENSE").read_text())
        assert "[LICENSE](LICENSE)" in text("README.md")

    def test_of_the_distribution_is_ours_alone_as_it_holds_nothing_that_others_made(self) -> None:
        assert PROJECT["license-files"] == ["LICENSE"]
        assert PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["resilience"]

    def test_of_what_others_made_lies_beside_it(self) -> None:
        for path in ROOT.glob("fixtures/LICENSE.*"):
            assert path.name in text("fixtures/README.md")
        assert "fixtures/README.md" in text("README.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_headings_that_are_linked_to_exist(document: str) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#([\w-]+)\)", text(document)):
        page = (ROOT / document).parent / target if target else ROOT / document
        assert anchor in anchors(page), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Return the names by which GitHub links to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
