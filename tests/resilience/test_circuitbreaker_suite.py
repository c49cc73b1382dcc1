"""circuitbreaker's own tests, which its source distribution carries, pass with our breaker in its place."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.sources import KEPT, PIP, sources

ROOT = Path(__file__).resolve().parents[2]
# What its tests need, kept beside its sources: installed for all, they would change our own suite.
PLUGINS = ("pytest-asyncio==1.5.0", "pytest-mock==3.17.0")
# A plugin that puts our class where its tests look for the library's.
OURS = """
import circuitbreaker
from resilience.primitives import CircuitBreaker

defaults = circuitbreaker.circuit.__defaults__
circuitbreaker.circuit.__defaults__ = (*defaults[:-1], CircuitBreaker)
circuitbreaker.CircuitBreaker = CircuitBreaker
"""


def plugins() -> Path:
    """Return the folder that has them, fetched by pip on first use."""
    folder = KEPT / "-".join(PLUGINS)
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=KEPT) as made:
            target = Path(made, "target")
            install = [*PIP, "install", "--no-deps", "--target", str(target), *PLUGINS]
            subprocess.run(install, check=True, timeout=300)
            target.rename(folder)
    return folder


class TestItsOwnTests:
    @pytest.mark.timeout(300)  # They are fetched on first use.
    def test_all_pass(self, tmp_path: Path) -> None:
        tests = sources("circuitbreaker") / "tests"
        (tmp_path / "ours.py").write_text(OURS)
        run = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", tmp_path),
                # One of its tests replaces an attribute of the class for good: theirs is the only order.
                *("-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:django", "-p", "ours"),
                *("-p", "pytest_mock", "-p", "pytest_asyncio", "-o", "asyncio_mode=auto"),
                *("-o", "asyncio_default_fixture_loop_scope=function", tests),
            ],
            env={"PYTHONPATH": f"{tmp_path}:{plugins()}:{ROOT}", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, run.stdout
        assert "63 passed" in run.stdout
