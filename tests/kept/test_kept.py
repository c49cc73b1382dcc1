"""A write whose view catches what has ended its transaction is stored whole or answered 503, over HTTP.

`make kept` does so 200 times for each fault.
"""

import subprocess
from pathlib import Path

import pytest

from tests.kept import postgresql, sqlite

pytestmark = pytest.mark.timeout(300)


class TestAWriteWhoseViewCatchesTheError:
    def test_on_postgresql_is_stored_whole_or_refused(self, tmp_path: Path) -> None:
        verdict = postgresql.run(tmp_path, ["kill", "cut", "limit", ""], times=16)
        assert verdict.untrue == []
        assert {answer for answer in verdict.answers if "201" in answer} == {"no fault: 201"}
        assert {"kill: 503", "kill: 503 not_stored", "cut: 503 not_stored", "limit: 503 not_stored"} <= set(
            verdict.answers
        )

    def test_on_a_disk_that_fills_is_stored_whole_or_refused(self, tmp_path: Path) -> None:
        told = subprocess.run(sqlite.command(tmp_path, 4), capture_output=True, text=True, check=False)
        if "unshare failed" in told.stderr or told.returncode == sqlite.REFUSED:
            pytest.skip(f"the kernel mounts nothing for this user: {told.stderr.strip()}")
        assert told.returncode == 0, told.stdout + told.stderr
        assert "true: 4 of 4" in told.stdout
        assert "disk: 503 not_stored" in told.stdout
