"""Drills are an app of their own: a project without it has everything else, and is told nothing of it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
WITHOUT = """
import importlib, sys
from pathlib import Path
import django
from django.conf import settings
from django.core.management import get_commands

settings.configure(
    INSTALLED_APPS=[
        *("django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes"),
        *("rest_framework", "resilience"),
    ],
    RESILIENCE={"NAMESPACE": "house"},
)
django.setup()
for path in Path("resilience").rglob("*.py"):
    if not {"drills", "migrations"} & set(path.parts):
        importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
print(*sorted(name for name, app in get_commands().items() if app.startswith("resilience")))
print(*sorted(name for name in sys.modules if name.startswith("resilience.drills")))
"""


def test_nothing_else_needs_it() -> None:
    """In a fresh interpreter: an import contract does not see what is imported by a name in a text."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["breakers fallback health resilience", ""]
