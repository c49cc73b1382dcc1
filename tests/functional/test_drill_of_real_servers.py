"""The real thing: PostgreSQL and Redis killed and frozen by the drill; and nobody stays frozen."""

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.functional import heard
from tests.functional.drill_reports import missed
from tests.servers import PostgresServer, RedisServer
from tests.servers.site import ROOT, SiteServer

SHORT = ["--seconds=3", "--around=1", "--rate=10", "--path=/api/fields?page_size={n}"]
LONG = ["--seconds=600", *SHORT[1:]]

pytestmark = pytest.mark.timeout(240)


class Servers(NamedTuple):
    site: SiteServer
    postgres: PostgresServer
    redis: RedisServer


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with PostgresServer() as postgres, RedisServer() as redis:
        site = SiteServer(
            DEBUG="1",
            DATABASE_URL=postgres.url,
            REDIS_URL=redis.url,
            DJANGO_SETTINGS_MODULE="tests.functional.settings",
            OUTAGE_OPEN_FOR="1",
        )
        fixtures = ["fixtures/categories.json", "fixtures/fields.json"]
        for command in (["migrate"], ["loaddata", *fixtures], ["fallback", "export"]):
            site.manage(*command).check_returncode()
        with site:
            yield Servers(site, postgres, redis)


@pytest.fixture
def database(servers: Servers) -> Path:
    servers.postgres.start()
    return servers.postgres.directory / "data" / "postmaster.pid"


@pytest.fixture
def cache(servers: Servers) -> Path:
    servers.redis.start()
    path = servers.redis.directory / "pid"
    path.write_text(f"{servers.redis.pid}\n")
    return path


@contextmanager
def drilling(servers: Servers, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a drill beside the test."""
    with (
        heard.judged(servers.site) as variables,
        subprocess.Popen(
            [*heard.PROGRAM, "drill", *map(str, arguments)],
            env={**servers.site.environment(), **variables},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as drill,
    ):
        try:
            yield drill
        finally:
            drill.kill()


def wait_for(drill: subprocess.Popen[str], sign: str) -> None:
    """Read on until a line has this sign."""
    assert drill.stdout is not None
    lines = []
    for line in drill.stdout:
        lines.append(line)
        if sign in line:
            return
    raise AssertionError("".join(lines))


def missed_of(folder: Path) -> list[str]:
    """Return which objectives the only report there has missed, but for those of time."""
    (path,) = folder.glob("*.json")
    return missed(json.loads(path.read_text()))


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def drills(site: SiteServer) -> dict[str, Any]:
    """Return what everybody is told to be broken."""
    told: dict[str, Any] = json.loads(site.get("/api/health").body)["drills"]
    return told


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


class TestFreeze:
    def test_of_the_database_is_survived_and_shown_meanwhile(
        self, servers: Servers, database: Path, tmp_path: Path
    ) -> None:
        real = ["database", "--fault=freeze", f"--pid-file={database}", f"--report={tmp_path}", *SHORT]
        with drilling(servers, *real, "--seconds=6") as drill:
            wait_for(drill, " s  fault ")
            shown = drills(servers.site)
            wait_for(drill, "report ")
        assert shown["database"]["fault"] == "freeze"
        assert missed_of(tmp_path) == []
        assert servers.postgres.answers()
        assert drills(servers.site) == {}

    def test_of_the_cache_is_survived(self, servers: Servers, cache: Path, tmp_path: Path) -> None:
        heard.drill(
            servers.site, "cache", "--fault=freeze", f"--pid-file={cache}", f"--report={tmp_path}", *SHORT
        )
        assert missed_of(tmp_path) == []
        assert servers.redis.answers()

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
    def test_ends_with_the_drill(
        self, servers: Servers, database: Path, tmp_path: Path, number: signal.Signals
    ) -> None:
        real = ["database", "--fault=freeze", f"--pid-file={database}", f"--report={tmp_path}", *LONG]
        with drilling(servers, *real) as drill:
            wait_until(lambda: is_stopped(servers.postgres.pid))
            os.kill(drill.pid, number)
            wait_until(servers.postgres.answers)
        wait_until(lambda: drills(servers.site) == {})


class TestKill:
    def test_of_the_cache_is_survived_and_its_start_is_the_drill_s(
        self, servers: Servers, cache: Path, tmp_path: Path
    ) -> None:
        """The start stays in the foreground, as a server under no supervisor does."""
        killed = servers.redis.pid
        start = shlex.join(map(str, servers.redis.command()))
        done = heard.drill(
            servers.site,
            *("cache", "--fault=kill", f"--pid-file={cache}", f"--report={tmp_path}", *SHORT),
            f"--restart={start} --pidfile {tmp_path / 'new'}",
        )
        assert missed_of(tmp_path) == [], done.stdout
        assert servers.redis.answers()
        started = int((tmp_path / "new").read_text())
        assert started != killed
        os.kill(started, signal.SIGTERM)
        servers.redis.kill()
        wait_until(lambda: not servers.redis.answers())  # The next one finds the port free.

    def test_of_the_database_waits_for_the_operator(
        self, servers: Servers, database: Path, tmp_path: Path
    ) -> None:
        real = ["database", "--fault=kill", f"--pid-file={database}", f"--report={tmp_path}", *SHORT]
        with drilling(servers, *real) as drill:
            wait_for(drill, "start the server of database again")
            servers.postgres.kill()  # It knows now that it is dead.
            servers.postgres.start()
            wait_for(drill, "report ")
        assert missed_of(tmp_path) == []

    def test_says_why_the_start_failed(self, servers: Servers, cache: Path, tmp_path: Path) -> None:
        done = heard.drill(
            servers.site,
            *("cache", "--fault=kill", f"--pid-file={cache}", f"--report={tmp_path}", *SHORT),
            "--restart=ls /no/such/folder",
        )
        assert done.returncode == 2
        assert "the server is dead" in done.stderr
        assert "/no/such/folder" in done.stderr.partition("ended with 2:")[2]
        servers.redis.kill()
