"""Real servers whose folders fail them: they start, serve, answer an outage, and say what they do without.

Tried here: a read-only file system, folders of another user that everybody may write (an `emptyDir`), a
small disk that is full from the start, heals, and turns read-only while the server runs. The server runs
without root's privileges, in a mount namespace of its own. Single steps have tests of their own.
"""

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.patience import ROOM
from tests.servers.process import free_port
from tests.servers.site import SiteServer

_number = itertools.count()
UNSHARE = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
# Root without its privileges is like anybody else, and can still read where the tests lie.
DROP = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--pdeathsig=TERM"]

pytestmark = pytest.mark.skipif(
    shutil.which("setpriv") is None or subprocess.run([*UNSHARE, "true"], check=False).returncode != 0,
    reason="needs setpriv, and leave to make a mount namespace",
)


class HostileSite(SiteServer):
    """A site with every dependency dead, whose surroundings a script prepares: see `$D`, its directory."""

    def __init__(self, script: str, **variables: str) -> None:
        super().__init__()
        self.variables |= {
            "DATABASE_URL": f"postgres://nobody:nothing@127.0.0.1:{free_port()}/none",
            "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        } | {name: value.replace("$D", str(self.directory)) for name, value in variables.items()}
        self.script = script
        self.directory.chmod(0o755)

    def command(self) -> list[str | Path]:
        served = shlex.join([*DROP, sys.executable, "-m", "zenow"])
        script = f"set -e; D={self.directory}; {self.script}\nexec {served}"
        return [*UNSHARE, "sh", "-c", script]

    def health(self) -> Any:
        return json.loads(self.get("/api/health").body)

    def inside(self, *command: str) -> None:
        """Run something in the server's namespace."""
        subprocess.run(["nsenter", f"--target={self.pid}", "--mount", "--", *command], check=True)


def within(seconds: float, what: Callable[[], bool], site: SiteServer) -> None:
    deadline = time.monotonic() + seconds + 30 * ROOM
    while not what():
        assert time.monotonic() < deadline, site.log.read_text()[-3000:]
        time.sleep(0.1)


def answers_reads(site: SiteServer) -> bool:
    """Say whether a page that nobody has asked for is answered from the copy."""
    answer = site.get(f"/api/courses?search=jazz&page_size={next(_number) % 99 + 1}")
    return answer.status == 200 and answer.headers["X-Data-Source"] == "static"


def becomes_read_only(site: HostileSite, folder: str) -> bool:
    """Take the right to write away; no while a file there is just being written."""
    try:
        site.inside("mount", "-o", "remount,ro", folder)
    except subprocess.CalledProcessError:
        return False
    return True


def warnings_of(site: SiteServer, part: str) -> int:
    return sum(part in line for line in site.log.read_text().splitlines())


@pytest.fixture(scope="module")
def read_only() -> Iterator[HostileSite]:
    script = (
        "mkdir $D/ro; mount -t tmpfs none $D/ro;"
        "mkdir $D/ro/store $D/ro/static-tier $D/ro/events; mount -o remount,ro $D/ro"
    )
    with HostileSite(
        script,
        RESILIENCE_DIR="$D/ro/store",
        STATIC_DIR="$D/ro/static-tier",
        RESILIENCE_EVENTS_DIR="$D/ro/events",
    ) as site:
        yield site


class TestReadOnly:
    def test_starts_and_answers_reads_in_an_outage(self, read_only: HostileSite) -> None:
        within(10, lambda: answers_reads(read_only), read_only)
        assert all(answers_reads(read_only) for _ in range(12))

    def test_says_in_health_metrics_and_log_what_it_does_without(self, read_only: HostileSite) -> None:
        said = {
            "store": "each process counts alone",
            "static": "no copy can be written where it belongs",
            "events": "events are not kept",
        }
        within(10, lambda: read_only.health()["folders"] == said, read_only)
        assert read_only.health()["store"] == "local"
        workers = len(read_only.workers())
        for part in ("no host store, so this process counts alone", "Set STATIC_DIR, or see to it"):
            # Each process counts alone, and so each says it, once.
            assert 1 <= warnings_of(read_only, part) <= workers, part
        assert warnings_of(read_only, "Traceback") == 0

    def test_refuses_writes_as_in_any_outage(self, read_only: HostileSite) -> None:
        assert read_only.post("/api/auth/token", '{"username": "ada", "password": "x"}').status in (415, 503)


class TestVolumeForEverybody:
    def test_is_shared_by_all_workers_in_a_folder_of_their_own(self) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root gives folders away")
        script = "for f in store static-tier events; do mkdir -m 0777 $D/$f; chown 12345 $D/$f; done"
        with HostileSite(script) as site:
            within(10, lambda: answers_reads(site), site)
            within(10, lambda: set(site.health()["folders"].values()) == {""}, site)
            assert site.health()["store"] == "host"
            for name in ("store", "static-tier", "events"):
                (folder,) = (site.directory / name).iterdir()
                assert folder.name == f"resilience-{os.geteuid()}"
                assert folder.stat().st_mode & 0o777 == 0o700
            assert (site.directory / "store").stat().st_mode & 0o777 == 0o777


class TestFull:
    def test_disk_is_done_without_and_used_again_when_there_is_room(self) -> None:
        script = (
            "mkdir $D/small; mount -t tmpfs -o size=64k none $D/small;"
            "mkdir $D/small/events $D/small/static-tier; head -c 1M /dev/zero >$D/small/filler || true"
        )
        with HostileSite(
            script, STATIC_DIR="$D/small/static-tier", RESILIENCE_EVENTS_DIR="$D/small/events"
        ) as site:
            within(10, lambda: answers_reads(site), site)
            within(10, lambda: bool(site.health()["folders"].get("events")), site)
            assert site.health()["store"] == "host"
            site.inside("rm", f"{site.directory}/small/filler")
            within(15, lambda: site.health()["folders"]["events"] == "", site)
            within(10, lambda: becomes_read_only(site, f"{site.directory}/small"), site)
            within(15, lambda: site.health()["folders"]["events"] == "events are not kept", site)
            assert answers_reads(site)
            assert warnings_of(site, "Traceback") == 0
