"""The systemd unit of deploy/, as systemd itself reads it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "zenow.service"

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and "CI" not in os.environ, reason="systemd is not installed"
)


class TestUnit:
    def test_has_no_mistake(self, tmp_path: Path) -> None:
        """The programs that it names are not installed here: true stands in for them."""
        unit = tmp_path / UNIT.name
        unit.write_text(UNIT.read_text().replace("/opt/zenow/.venv/bin/python", "/usr/bin/true"))
        verified = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=30
        )
        assert (verified.returncode, verified.stderr) == (0, "")
