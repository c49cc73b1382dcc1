"""The house: what may import what, how long a file may be, what stays empty."""

import ast
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("zenow", "learn", "resilience")
PROOFS = ("tests", "benchmarks")
MOST_ROOMS = 24
# One class is read as one: its parts in several files would have to know each other's insides.
MAY_BE_LONGER = {ROOT / "resilience" / "primitives" / "breaker.py": 400}
# Python itself looks for `__main__`.
FOUND_BY_NAME = {
    "__main__",
    "admin",
    "apps",
    "checks",
    "management",
    "migrations",
    "models",
    "templatetags",
    "testing",
    "urls",
}
# Modules that only import and warn; they go with the next release.
OLD_PLACES = ("reads", "writes", "idempotency")


def python_files(*packages: str) -> list[Path]:
    """Return the modules of these packages, save generated ones."""
    files = (path for package in packages for path in (ROOT / package).rglob("*.py"))
    return [path for path in files if "migrations" not in path.parts]


class TestFiles:
    @pytest.mark.parametrize(("packages", "longest"), [(PRODUCT, 300), (PROOFS, 400)])
    def test_are_short(self, packages: tuple[str, ...], longest: int) -> None:
        lengths = {path: len(path.read_text().splitlines()) for path in python_files(*packages)}
        too_long = {path for path, length in lengths.items() if length > MAY_BE_LONGER.get(path, longest)}
        assert too_long == set()

    def test_say_what_they_are_for(self) -> None:
        named_by_django = ("__init__.py", "apps.py")
        modules = [path for path in python_files(*PRODUCT) if path.name not in named_by_django]
        assert [path for path in modules if not path.read_text().startswith('"""')] == []

    def test_have_no_drawer_for_odds_and_ends(self) -> None:
        drawers = {"utils", "helpers", "common", "misc"}
        assert [path for path in python_files(*PRODUCT, *PROOFS) if path.stem in drawers] == []


class TestRooms:
    """The top of `resilience`: a newcomer reads its listing once."""

    def test_are_few(self) -> None:
        assert len(rooms()) <= MOST_ROOMS

    def test_stand_on_the_map(self) -> None:
        drawing = ast.get_docstring(ast.parse((ROOT / "resilience" / "__init__.py").read_text())) or ""
        named = {
            name
            for line in re.findall(r"^ {4}(\S.*?)  ", drawing, re.MULTILINE)
            for name in re.split(r",? ", line)
        }
        assert rooms() - {"auth"} == named


def rooms() -> set[str]:
    """Return the modules and packages of `resilience` that no framework looks for by name."""
    found = {module.name for module in pkgutil.iter_modules([str(ROOT / "resilience")])}
    return found - FOUND_BY_NAME - set(OLD_PLACES) - {"board"}


class TestImports:
    """In a fresh interpreter: an import contract sees what is written, not what is loaded."""

    def test_resilience_itself_is_a_map_and_loads_nothing(self) -> None:
        body = ast.parse((ROOT / "resilience" / "__init__.py").read_text()).body
        assert [type(statement) for statement in body] == [ast.Expr]

    @pytest.mark.parametrize(
        ("package", "strangers"),
        [
            ("resilience.primitives", ["django", "rest_framework", "learn", "zenow"]),
            ("resilience", ["django", "rest_framework", "learn", "zenow"]),
        ],
    )
    def test_load_no_stranger(self, package: str, strangers: list[str]) -> None:
        loaded = modules_after(
            f"import importlib, pkgutil, {package} as package\n"
            "if package.__name__ != 'resilience':\n"
            "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
            "        importlib.import_module(module.name)\n"
        )
        assert package in loaded
        assert loaded.isdisjoint(strangers)

    def test_resilience_knows_no_catalogue(self) -> None:
        """Every module of the app, set up by itself, in a project that has nothing else."""
        loaded = modules_after(
            "import importlib, pkgutil, django\n"
            "from django.conf import settings\n"
            "apps = ['django.contrib.auth', 'django.contrib.contenttypes', 'rest_framework', 'resilience']\n"
            "settings.configure(INSTALLED_APPS=apps, RESILIENCE={'NAMESPACE': 'house'})\n"
            "django.setup()\n"
            "import resilience\n"
            "for module in pkgutil.iter_modules(resilience.__path__, 'resilience.'):\n"
            "    if module.name not in ('resilience.admin', 'resilience.models'):\n"
            "        importlib.import_module(module.name)\n"
        )
        assert "resilience.apps" in loaded
        assert loaded.isdisjoint(["learn", "zenow"])


def modules_after(code: str) -> set[str]:
    """Return the names of all modules that are loaded once this code has run in a new interpreter."""
    code += "import sys; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.splitlines())
