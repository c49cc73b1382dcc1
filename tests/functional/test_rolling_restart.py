"""The server is replaced under load, with everything well and with everything dead: nobody notices."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import psycopg
import pytest

from tests.functional.conftest import FIXTURES
from tests.functional.outages import MINT
from tests.servers import PostgresServer, RedisServer
from tests.servers.site import SiteServer

PAUSE = 0.05
_number = itertools.count()


class Seen(NamedTuple):
    """One answer: its status, the tier that it came from, the state of the database's breaker."""

    status: int
    source: str
    state: str


class Load:
    """Readers who keep their connection, readers who do not, and a writer; nobody asks twice."""

    def __init__(self, site: SiteServer, token: str) -> None:
        self.site = site
        self.reads: list[Seen] = []
        self.writes: list[tuple[str, int]] = []  # title, status
        self.broken: list[str] = []
        self._token = token
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._client, args=work)
            for work in (
                *[(self._read, True)] * 3,
                *[(self._read, False)] * 3,
                (self._write, True),
                (self._write, False),
            )
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def goes_on(self) -> None:
        """Wait for answers to a few more reads and writes."""
        for answers in (self.reads, self.writes):
            enough, limit = len(answers) + 10, time.monotonic() + 30
            while len(answers) < enough and time.monotonic() < limit:
                time.sleep(0.05)
            assert len(answers) >= enough

    def _client(self, work: Callable[[http.client.HTTPConnection], None], keeps: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=20)
        while not self._stop.wait(PAUSE):
            try:
                work(connection)
            except (OSError, http.client.HTTPException) as error:
                self.broken.append(repr(error))
                connection.close()
            if not keeps:
                connection.close()
        connection.close()

    def _read(self, connection: http.client.HTTPConnection) -> None:
        connection.request("GET", f"/api/courses?search=rolling{next(_number)}")
        response = connection.getresponse()
        response.read()
        said = [response.headers.get(name, "") for name in ("X-Data-Source", "X-Circuit-Breaker-DB")]
        self.reads.append(Seen(response.status, *said))

    def _write(self, connection: http.client.HTTPConnection) -> None:
        title = f"Rolling {next(_number)}"
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        connection.request("POST", "/api/categories", json.dumps({"title": title}), headers)
        response = connection.getresponse()
        response.read()
        self.writes.append((title, response.status))


class World(NamedTuple):
    """A site of two workers and what it depends on."""

    postgres: PostgresServer
    redis: RedisServer
    site: SiteServer
    token: str

    def orders(self) -> dict[str, list[str]]:
        """Return what orders hold for which breakers, by whom and why."""
        return {
            each["name"]: [each["override"][word] for word in ("kind", "who", "why")]
            for each in json.loads(self.site.manage("breakers", "list", "--json").stdout)
            if each["override"] is not None
        }

    def order(self, *arguments: str) -> None:
        """Steer a breaker."""
        ran = self.site.manage("breakers", *arguments)
        assert ran.returncode == 0, ran.stderr

    def stored(self) -> set[str]:
        """Return the titles of all categories."""
        with psycopg.connect(self.postgres.url) as connection:
            return {title for (title,) in connection.execute("SELECT title FROM learn_category")}

    def kill_everything(self) -> None:
        """Kill database and cache; return when the site knows."""
        self.postgres.kill()
        self.redis.kill()
        limit = time.monotonic() + 60
        headers = ("X-Circuit-Breaker-DB", "X-Circuit-Breaker-Cache")
        while True:
            answer = self.site.get(f"/api/courses?search=rolling{next(_number)}")
            if all(answer.headers[name] == "OPEN" for name in headers):
                return
            assert time.monotonic() < limit


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer())
        redis = stack.enter_context(RedisServer())
        site = SiteServer(
            DATABASE_URL=postgres.url,
            REDIS_URL=f"redis://127.0.0.1:{redis.port}/0",
            # Longer than any client of this file leaves its connection idle, however slow the machine is.
            DRAIN_SECONDS="5",
        )
        fixtures = [f"fixtures/{name}.json" for name in FIXTURES]
        for command in (["migrate"], ["loaddata", *fixtures], ["fallback", "export"]):
            ran = site.manage(*command, "--verbosity=0")
            assert ran.returncode == 0, ran.stderr
        token = site.manage("shell", "--verbosity=0", "-c", MINT).stdout.strip()
        stack.enter_context(site)
        yield World(postgres, redis, site, token)


def _replaced_under_load(world: World) -> Load:
    """Replace the server while all ask; return what they saw, which holds no failure."""
    site = world.site
    orders, old, supervisor = world.orders(), set(site.workers()), site.pid
    assert len(old) == 2
    with Load(site, world.token) as load:
        load.goes_on()
        site.roll()
        load.goes_on()
    assert load.broken == []
    assert {seen.status for seen in load.reads} == {200}
    assert {status for _, status in load.writes} <= {201, 503}
    assert site.pid == supervisor
    assert len(site.workers()) == 2
    assert not old & set(site.workers())
    assert world.orders() == orders
    assert set(orders) == {"external_api", "auth"}
    return load


@pytest.mark.timeout(480)  # two replacements, each with its drain
class TestRollingRestart:
    def test_fails_no_read_loses_no_write_and_keeps_orders_healthy_and_with_all_dead(
        self, world: World
    ) -> None:
        """In one go: to make the world well again would take longer than both."""
        world.order("isolate", "external_api", "--reason", "they asked us to")
        world.order("disable", "auth", "--reason", "to be measured only")
        load = _replaced_under_load(world)
        acknowledged = {title for title, status in load.writes if status == 201}
        assert acknowledged
        assert acknowledged <= world.stored()
        assert "live" in {seen.source for seen in load.reads}

        world.kill_everything()
        load = _replaced_under_load(world)
        # The successor finds the breakers as they are: it waits for nobody, and lets nobody through.
        assert {seen.source for seen in load.reads} == {"static"}
        assert {status for _, status in load.writes} == {503}
        assert {seen.state for seen in load.reads} <= {"OPEN", "HALF_OPEN"}
