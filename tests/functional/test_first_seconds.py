"""From its first 200 at readiness on, a server answers every read, also when its database dies at once.

Of the kind: a host without a copy whose database dies just after the first 200, or was never there; two
workers that both begin to make the copy; a folder in which none can be made. `make starts` does the first of
them twenty times; `make test` has the second.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.conftest import FIXTURES
from tests.patience import ROOM
from tests.servers import PostgresServer
from tests.servers.process import free_port
from tests.servers.site import SiteServer

# What the log says once readiness has waited its five seconds.
WITHOUT = "this process serves without"
TIMES = int(os.environ.get("STARTS", "0"))
READS = [
    "/api/courses",
    "/api/courses?page=3",
    "/api/courses?search=jazz",
    "/api/courses/afad-294-academic-internship",
    "/api/fields",
    "/api/categories",
]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        site = SiteServer(DATABASE_URL=server.url)
        for command in (["migrate"], ["loaddata", *(f"fixtures/{name}.json" for name in FIXTURES)]):
            ran = site.manage(*command, "--verbosity=0")
            assert ran.returncode == 0, ran.stderr
        shutil.rmtree(site.directory)  # It was never started.
        yield server


def readiness(site: SiteServer) -> int:
    """Return what the site says, 0 while nobody listens."""
    try:
        return site.get("/api/health/ready").status
    except (OSError, http.client.HTTPException):
        return 0


def when_ready(site: SiteServer) -> float:
    """Wait for the first 200, and return how long that took."""
    began = time.monotonic()
    while readiness(site) != 200:
        assert time.monotonic() < began + 60, site.log.read_text()[-2000:]
        time.sleep(0.01)
    return time.monotonic() - began


def wait_for_copy(site: SiteServer) -> None:
    """Wait until a copy opens that took longer than readiness waits."""
    limit = time.monotonic() + 60
    while not any(json.loads(site.get("/api/health").body)["fallbackData"].values()):
        assert time.monotonic() < limit, site.log.read_text()[-2000:]
        time.sleep(0.1)


def read_all(site: SiteServer, times: int = 4) -> dict[str, set[int]]:
    """Ask for each kind of read some times, so that each worker is asked; return what it answered."""
    return {path: {site.get(path).status for _ in range(times)} for path in READS}


class TestFirstSeconds:
    @pytest.mark.timeout(900)
    @pytest.mark.proof("STARTS")
    def test_answers_every_read_when_the_database_dies_just_after_the_first_200(
        self, postgres: PostgresServer
    ) -> None:
        """A start on a machine so busy that the copy takes more than five seconds is void, and repeated."""
        starts = 0
        for _ in range(2 * TIMES):
            postgres.start()
            with SiteServer(DATABASE_URL=postgres.url) as site:
                when_ready(site)
                time.sleep(0.2)
                postgres.kill()
                answers = read_all(site)
                if WITHOUT in site.log.read_text():
                    continue
            assert answers == {path: {200} for path in answers}
            starts += 1
            if starts == TIMES:
                return
        pytest.fail(f"only {starts} starts were not void: this machine is too busy")

    def test_lets_reads_wait_for_the_copy_that_is_on_its_way(self) -> None:
        """A read that comes before the first 200 is answered, or has waited for as long as it may."""
        nowhere = f"postgres://nobody:nothing@127.0.0.1:{free_port()}/none"
        site = SiteServer(DATABASE_URL=nowhere)
        site.answers = lambda: readiness(site) != 0  # type: ignore[method-assign]
        with site:
            early = 0
            while readiness(site) == 503:
                began = time.monotonic()
                status = site.get("/api/courses").status
                waited = time.monotonic() - began
                assert status == 200 or waited > 1.0 or WITHOUT in site.log.read_text()
                early += 1
            assert early
            assert site.get("/api/courses").status == 200 or WITHOUT in site.log.read_text()

    def test_answers_every_read_when_there_was_never_a_database(self) -> None:
        nowhere = f"postgres://nobody:nothing@127.0.0.1:{free_port()}/none"
        with SiteServer(DATABASE_URL=nowhere) as site:
            when_ready(site)
            if WITHOUT in site.log.read_text():  # on a very busy machine
                wait_for_copy(site)
            answers = read_all(site)
        assert answers == {path: {200} for path in answers}

    @pytest.mark.proof("STARTS")
    def test_waits_five_seconds_for_a_copy_that_cannot_be_made(
        self, postgres: PostgresServer, tmp_path: Path
    ) -> None:
        postgres.start()
        (tmp_path / "file").touch()
        with SiteServer(DATABASE_URL=postgres.url, STATIC_DIR=str(tmp_path / "file" / "copy")) as site:
            assert when_ready(site) < 5.5 + 10 * ROOM
            assert site.get("/api/courses").status == 200
