"""An environment that has the app from its wheel, and of other packages only those that a test names."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WHEEL = "DJANGO_RESILIENCE_WHEEL"  # the variable that names one which was built before

# Django tells by these what a later version removes.
STRICT = ("-W", "error::DeprecationWarning", "-W", "error::PendingDeprecationWarning")

# What the app alone needs, with what that needs in turn.
BASE = ("Django", "asgiref", "sqlparse", "circuitbreaker")


def built(folder: Path) -> Path:
    """Return the wheel: that of the variable, else one that is built in `folder`."""
    if given := os.environ.get(WHEEL):
        return Path(given)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (found,) = folder.glob("*.whl")
    return found


class Environment:
    """A virtual environment in `folder` with links to packages that run this, and a project in it."""

    def __init__(self, folder: Path, wheel: Path, *distributions: str) -> None:
        self.folder = folder
        venv = folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        self.python = venv / "bin" / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.packages = venv / "lib" / version / "site-packages"
        for name in (*BASE, *distributions):
            _link(name, self.packages)
        to: list[str | Path] = [sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet"]
        subprocess.run([*to, "--no-deps", "--no-index", "--no-compile", wheel], check=True)
        self.project = folder / "project"
        shutil.copytree(HERE / "shop", self.project / "shop", ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
        """Run Python in the project, with these settings beside its own; Django's own warnings are errors."""
        own = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return subprocess.run(
            [
                self.python,
                "-W",
                "error::DeprecationWarning",
                "-W",
                "error::PendingDeprecationWarning",
                *arguments,
            ],
            cwd=self.project,
            env=own
            | {
                "SHOP": str(self.folder),
                "RESILIENCE_ROLE": "server",
                "DJANGO_SETTINGS_MODULE": "shop.settings",
                "SETTINGS": json.dumps(settings),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def tour(self, **settings: object) -> Mapping[str, Any]:
        """Go through the project, and return what was met."""
        ran = self.run("-m", "shop.tour", **settings)
        assert ran.returncode == 0, ran.stderr
        met: Mapping[str, Any] = json.loads(ran.stdout.splitlines()[-1])
        return met


def _link(name: str, packages: Path) -> None:
    """Link what a distribution has installed, its metadata too."""
    found = distribution(name)
    tops = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
    for top in tops:
        (packages / top).symlink_to(Path(str(found.locate_file(top))).resolve())
