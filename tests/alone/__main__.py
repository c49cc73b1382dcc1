"""`make matrix`: run the app's tests, from its built archive and wheel, on each Django and Python.

A cell whose Python this machine lacks is told as not run. Needs the network: each cell is a new environment.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.alone.environment import ROOT, WHEEL

CELLS = (
    *(("5.2", python) for python in ("3.11", "3.12", "3.13")),
    *((django, python) for django in ("6.0", "6.1") for python in ("3.12", "3.13")),
)
# It asks the libraries of three extras.
LEFT_OUT = (
    "tests/primitives/test_own.py::TestOwnTrouble"
    "::test_without_descriptors_is_seen_where_the_libraries_tell_no_cause"
)
NEEDED = ("pytest", "pytest-timeout", "hypothesis")
# Without what leads Python or Django to something else than what is in the cell.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTHON"))}


def interpreter(version: str) -> Path | None:
    """Return the path of this machine's Python of a version, if it has one that runs."""
    of_pyenv = (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python")
    candidates = [shutil.which(f"python{version}"), *sorted(of_pyenv)]
    return next((Path(path) for path in candidates if path and _runs(path)), None)


def _runs(path: str | Path) -> bool:
    return subprocess.run([path, "-c", "import venv"], capture_output=True, check=False).returncode == 0


def pins() -> Iterator[str]:
    """Yield what the tests need, as it is pinned for the whole suite."""
    for line in (ROOT / "requirements-dev.txt").read_text().splitlines():
        if line.partition("==")[0] in NEEDED:
            yield line


def run(cell: Path, python: Path, django: str, archive: Path, wheel: Path) -> tuple[bool, str]:
    """Return whether the tests of one cell passed, and how they ended in pytest's words."""
    subprocess.run([python, "-m", "venv", cell], check=True, env=CLEAN)
    own = cell / "bin" / "python"
    install: list[str | Path] = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, wheel, f"Django~={django}.0", *pins()], check=True, env=CLEAN)
    tests: list[str | Path] = [own, "-m", "pytest", "-q", "-c", "tests/alone/matrix.ini", "--rootdir", "."]
    ran = subprocess.run(
        [*tests, "--deselect", LEFT_OUT, "tests/primitives", "tests/alone/test_app.py"],
        cwd=archive,
        env=CLEAN | {WHEEL: str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )
    shutil.rmtree(cell)
    if ran.returncode:
        print(ran.stdout[-8000:], ran.stderr[-2000:], file=sys.stderr)
    last = (ran.stdout.splitlines() or ["no tests ran"])[-1]
    return ran.returncode == 0, re.sub(r" in .*", "", last.strip("= "))


def main() -> int:
    """Print a row for each cell; return 1 if a test of any failed."""
    failed = False
    with tempfile.TemporaryDirectory(prefix="matrix-") as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True)
        (wheel,) = folder.glob("*.whl")
        (packed,) = folder.glob("*.tar.gz")
        with tarfile.open(packed) as file:
            file.extractall(folder, filter="data")
        archive = folder / packed.name.removesuffix(".tar.gz")
        shutil.rmtree(archive / "resilience")  # else the tests would import that, and not the wheel
        print("\n| Django | Python | the app's tests |\n| --- | --- | --- |")
        for django, version in CELLS:
            python = interpreter(version)
            passed, said = True, "not run: no such Python here"
            if python is not None:
                cell = folder / f"django-{django}-python-{version}"
                passed, said = run(cell, python, django, archive, wheel)
            failed = failed or not passed
            print(f"| {django} | {version} | {said} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
