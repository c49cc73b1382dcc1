"""What the code imports is required by name; what is required has one version, and so has what it needs."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.architecture.project import PYTHONS
from tests.architecture.test_house import PRODUCT, PROOFS, ROOT, python_files

RUNTIME = "requirements.txt"
DEVELOPMENT = "requirements-dev.txt"
CONSTRAINTS = "constraints.txt"
FILES = (RUNTIME, DEVELOPMENT, CONSTRAINTS, "benchmarks/requirements.txt", "tests/clients/requirements.txt")
# Made of the schema, and imported by what runs in an environment of its own.
GENERATED = {"attrs_client", "pydantic_client"}
# The environment brings it; everything else is brought by it.
PIP = "pip"
# The oldest Python that installs us: some packages need more on it than on the one that runs here.
OLDEST = {"python_version": PYTHONS[0], "python_full_version": f"{PYTHONS[0]}.0"}


def canonical(name: str) -> str:
    """Return a distribution's name in the one spelling that compares."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lines(file: str) -> list[str]:
    """Return what a file says, without comments and blank lines."""
    found = (line.partition("#")[0].strip() for line in (ROOT / file).read_text().splitlines())
    return [line for line in found if line]


def required(*files: str) -> dict[str, Requirement]:
    """Return the requirements that stand in these files, by canonical name."""
    found = [Requirement(line) for file in files for line in lines(file) if not line.startswith("-")]
    return {canonical(each.name): each for each in found}


def pinned(requirement: Requirement) -> str | None:
    """Return the one version that a requirement allows, or None where it allows others."""
    versions = [each.version for each in requirement.specifier if each.operator == "=="]
    return versions[0] if len(versions) == 1 == len(requirement.specifier) else None


def imported(source: str) -> Iterator[str]:
    """Yield the packages at the top that some code imports, wherever in it the statement stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def foreign(paths: list[Path]) -> dict[str, set[str]]:
    """Return the distributions that these modules import, by package; none for one that nobody brings."""
    packages = {package for path in paths for package in imported(path.read_text())}
    brought_by = packages_distributions()
    return {
        package: {canonical(name) for name in brought_by.get(package, [])}
        for package in packages - sys.stdlib_module_names - {*PRODUCT, *PROOFS} - GENERATED
    }


def needed(requirements: dict[str, Requirement]) -> set[str]:
    """Return the names of these and of all that they need in turn, on this Python or on the oldest."""
    seen: set[tuple[str, str]] = set()
    names: set[str] = set()
    waiting = [
        (name, extra) for name, requirement in requirements.items() for extra in ("", *requirement.extras)
    ]
    while waiting:
        name, extra = waiting.pop()
        if name == PIP or (name, extra) in seen:
            continue
        seen.add((name, extra))
        names.add(name)
        try:
            wants = [Requirement(each) for each in distribution(name).requires or ()]
        except PackageNotFoundError:  # Needed on the oldest Python alone.
            continue
        for each in wants:
            environments = ({"extra": extra}, {"extra": extra, **OLDEST})
            if each.marker is None or any(map(each.marker.evaluate, environments)):
                waiting += [(canonical(each.name), wanted) for wanted in ("", *each.extras)]
    return names


class TestImports:
    @pytest.mark.parametrize(
        ("paths", "files"),
        [
            ([*python_files(*PRODUCT), ROOT / "manage.py"], [RUNTIME]),
            (python_files(*PROOFS), [RUNTIME, DEVELOPMENT]),
        ],
        ids=["of the product", "of tests and benchmarks"],
    )
    def test_are_required_by_name(self, paths: list[Path], files: list[str]) -> None:
        found = foreign(paths)
        assert found
        names = required(*files)
        assert {package: by for package, by in found.items() if by.isdisjoint(names)} == {}

    @pytest.mark.parametrize(
        "source",
        [
            "import redis.asyncio",
            "from redis.exceptions import RedisError",
            "def late():\n    import redis as client",
            "if TYPE_CHECKING:\n    from redis import Redis",
        ],
    )
    def test_are_seen_wherever_they_stand(self, source: str) -> None:
        assert list(imported(source)) == ["redis"]

    def test_of_neighbours_are_no_packages(self) -> None:
        assert list(imported("from . import one\nfrom .two import three")) == []


class TestVersions:
    @pytest.mark.parametrize("file", FILES)
    def test_are_one_for_each_package(self, file: str) -> None:
        assert {name for name, each in required(file).items() if pinned(each) is None} == set()
        assert [line for line in lines(file) if line.startswith("-") and line[1] not in "rc"] == []

    def test_are_those_of_all_that_is_installed(self) -> None:
        """Also of what nobody names: a constraint is missing where this fails."""
        pins = {name: pinned(each) for name, each in required(RUNTIME, DEVELOPMENT, CONSTRAINTS).items()}
        installed: dict[str, str | None] = {}
        for name in needed(required(RUNTIME, DEVELOPMENT)):
            try:
                installed[name] = distribution(name).version
            except PackageNotFoundError:
                installed[name] = pins.get(name, "on the oldest Python")
        assert {name: version for name, version in installed.items() if pins.get(name) != version} == {}

    def test_hold_for_an_install_of_the_runtime_alone(self) -> None:
        assert needed(required(RUNTIME)) <= set(required(RUNTIME, CONSTRAINTS))

    def test_are_the_same_in_each_file(self) -> None:
        named, constrained = required(RUNTIME, DEVELOPMENT), required(CONSTRAINTS)
        both = named.keys() & constrained.keys()
        assert {name for name in both if pinned(named[name]) != pinned(constrained[name])} == set()

    def test_are_constrained_for_nothing_that_nobody_needs(self) -> None:
        assert set(required(CONSTRAINTS)) - needed(required(RUNTIME, DEVELOPMENT)) == set()


def test_what_the_runtime_requires_has_its_row_in_the_document() -> None:
    table = (ROOT / "ARCHITECTURE.md").read_text().partition("## What we depend on")[2]
    rows = {canonical(row) for row in re.findall(r"^\| ([\w-]+)", table, re.MULTILINE)}
    assert set(required(RUNTIME)) - rows == set()
