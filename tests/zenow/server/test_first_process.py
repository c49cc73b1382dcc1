"""The server as process 1 of a container, where nobody stands above it: it takes orphans, and obeys signals.

Of the kind: a worker that dies and leaves a child, an orphan that ends, SIGTERM to process 1 (the kernel
drops it where there is no handler).
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.process import children_of, descendants
from tests.servers.site import SiteServer

UNSHARE = ["unshare", "--pid", "--fork", "--kill-child", *(() if os.geteuid() == 0 else ("--map-root-user",))]

pytestmark = pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run([*UNSHARE, "true"], check=False).returncode != 0,
    reason="needs leave to make a namespace of processes",
)


class FirstProcess(SiteServer):
    """The site in a namespace of its own, in which its supervisor is process 1."""

    def command(self) -> list[str | Path]:
        return [*UNSHARE, sys.executable, "-m", "zenow"]

    @property
    def supervisor(self) -> int:
        return children_of(self.pid)[0]

    def stop(self) -> None:
        if self.running:
            os.kill(self.supervisor, signal.SIGTERM)
        super().stop()

    def servers(self) -> list[int]:
        return children_of(self.supervisor)

    def orphans(self) -> set[int]:
        """Return what the supervisor has inherited, and not begun."""
        return {each for each in self.servers() if Path(f"/proc/{each}/comm").read_text() == "sleep\n"}


def within(seconds: float, what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_takes_leave_of_orphans_and_ends_when_it_is_told_to() -> None:
    with FirstProcess(workers=1) as site:
        assert within(20, lambda: len(site.workers()) == 1)
        # Their parent ends at once, so that process 1 has them.
        enter = ["nsenter", f"--target={site.supervisor}", "--pid", "--", "sh", "-c", "sleep 1 & sleep 1 &"]
        subprocess.run(enter, check=True)
        orphans = site.orphans()
        assert len(orphans) == 2
        assert within(20, lambda: not orphans & set(descendants(site.supervisor))), (
            "nobody takes leave of them"
        )
        assert site.get("/api/health/live").status == 200
        os.kill(site.supervisor, signal.SIGTERM)
        assert within(40, lambda: not site.running)
