"""A server that is started, or a worker that is respawned, while database and cache are dead."""

import http.client
import itertools
import json
import os
import signal
import time

from tests.patience import ROOM
from tests.servers.process import free_port
from tests.servers.site import SiteServer

# From the first moment at which the server listens.
LIMIT = 5.0 + 15 * ROOM
_number = itertools.count()


def _dead_site() -> SiteServer:
    return SiteServer(
        DATABASE_URL=f"postgres://nobody:nothing@127.0.0.1:{free_port()}/none",
        REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",
    )


def _seconds_until_static(site: SiteServer) -> float:
    started = time.monotonic()
    while time.monotonic() < started + 20:
        try:
            answer = site.get(f"/api/courses?search=jazz&page_size={next(_number) % 99 + 1}")
        except (OSError, http.client.HTTPException):
            continue
        if answer.status == 200:
            body = json.loads(answer.body)
            assert answer.headers["X-Data-Source"] == body["degradation"]["source"] == "static"
            assert body["count"] > 0
            return time.monotonic() - started
        time.sleep(0.05)
    raise AssertionError(site.log.read_text())


class TestStartedInTheOutage:
    def test_answers_searches_from_the_fixtures(self) -> None:
        with _dead_site() as site:
            assert _seconds_until_static(site) <= LIMIT

    def test_a_worker_that_died_is_replaced_by_one_that_answers_too(self) -> None:
        with _dead_site() as site:
            _seconds_until_static(site)
            os.kill(site.workers()[-1], signal.SIGKILL)
            assert _seconds_until_static(site) <= LIMIT
