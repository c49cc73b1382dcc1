"""A server whose output nobody reads goes on: requests, liveness, workers that are replaced, and its end.

Of the kind: granian's own log and the supervisor's, in each of their processes, and Python's warnings; see
`tests/resilience/observe/test_logs.py` for full disks and readers that go away.
"""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.site import SiteServer


class UnreadSite(SiteServer):
    """Its output goes into a pipe of one page, which is full after some twenty lines."""

    log = Path()

    def __init__(self) -> None:
        super().__init__()
        self.log = self.directory / "log"
        os.mkfifo(self.log)
        self.pipe = os.open(self.log, os.O_RDWR)
        fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, 4_096)


@pytest.fixture
def site() -> Iterator[UnreadSite]:
    site = UnreadSite()
    try:
        with site:
            yield site
    finally:
        os.close(site.pipe)


def test_a_server_whose_log_nobody_reads_goes_on(site: UnreadSite) -> None:
    for _ in range(150):  # a line each
        assert site.get("/api/nowhere").status == 404
    assert site.get("/api/health/live").status == 200
    for worker in site.workers():  # none is left but those that are started now
        os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while not site.answers():
        assert time.monotonic() < deadline, "no other worker has come up"
        time.sleep(0.1)
    process = site._process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
