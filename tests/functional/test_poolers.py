"""The whole site behind a pooler, and what it leaves in its sessions.

`make poolers` tries each kind of pooler, `make test` PgBouncer in transaction mode.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.functional.outages import BUDGET, SLACK, Seen, Site
from tests.patience import ROOM
from tests.resilience.db.poolers import left_behind, needs_pgbouncer
from tests.servers import PostgresServer
from tests.servers.pgbouncer import PgBouncerServer
from tests.startup_relay import StartupRelay

LONG_FORM = bool(os.environ.get("POOLERS"))
KINDS = [
    pytest.param(kind, marks=needs_pgbouncer if kind in ("transaction", "session") else ())
    for kind in (("transaction", "session", "refuse", "drop") if LONG_FORM else ("transaction",))
]
PASSWORD = "correct horse battery"
PREPARE = """
from django.contrib.auth.models import User
from django.core.management import call_command
User.objects.create_superuser("ada", "ada@example.org", PASSWORD)
call_command("loaddata", "fixtures/categories.json", "fixtures/fields.json", verbosity=0)
call_command("export_catalogue", DIRECTORY)
call_command("fallback", "export", verbosity=0)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """In another time zone than Django's, which each connection would have to set."""
    with PostgresServer(options={"timezone": "Europe/Berlin"}) as server:
        yield server


@contextmanager
def before(server: PostgresServer, kind: str) -> Iterator[Any]:
    """Put what is named between; yield what has its `port`."""
    with ExitStack() as stack:
        if kind in ("transaction", "session"):
            yield stack.enter_context(PgBouncerServer(server, kind))  # type: ignore[arg-type]
        else:
            yield stack.enter_context(StartupRelay(server.port, kind))  # type: ignore[arg-type]


@contextmanager
def running(server: PostgresServer, pooler: Any, name: str, folder: Path) -> Iterator[tuple[Site, str]]:
    """Run a site with a database of its own behind `pooler`, made ready through it; yield its address too."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = server.url.replace(f":{server.port}/postgres", f":{pooler.port}/{name}")
    settings = "tests.functional.slow_migration.settings"
    site = Site(server, pooler, DATABASE_URL=url, DJANGO_SETTINGS_MODULE=settings)
    prepare = f"PASSWORD, DIRECTORY = {PASSWORD!r}, {str(folder)!r}\n{PREPARE}"
    for command in (["migrate"], ["shell", "-c", prepare]):
        ran = site.manage(*command, "--verbosity=0")
        assert ran.returncode == 0, ran.stderr  # the migration took five seconds
    with site:
        yield site, url


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", KINDS)
def test_a_site_works_behind_a_pooler(server: PostgresServer, kind: str, tmp_path: Path) -> None:
    with before(server, kind) as pooler:
        with running(server, pooler, kind, tmp_path) as (site, url):
            checked = site.manage("check", "--database=default", "--fail-level=WARNING")
            assert "SET LOCAL" in checked.stderr, checked.stderr
            assert checked.returncode == 0
            works(site)
        assert len(json.loads((tmp_path / "categories.json").read_text())) > 30
        if isinstance(pooler, PgBouncerServer):
            assert left_behind(pooler, url) == {"settings": [], "others": []}


class TestStress:
    """A part of `make poolers` alone."""

    __test__ = LONG_FORM

    @needs_pgbouncer
    @pytest.mark.timeout(240)
    def test_an_outage_behind_a_pooler_is_one(self, tmp_path: Path) -> None:
        """The pooler stays, and says in its own words that it reaches nobody."""
        with (
            PostgresServer() as server,
            PgBouncerServer(server, "transaction") as pooler,
            running(server, pooler, "outage", tmp_path) as (site, _),
        ):
            assert site.ask().source == "live"
            server.kill()
            seen = until(site, lambda one: one.source == "static" and one.breaker == "OPEN")
            assert {one.status for one in seen} == {200}
            assert max(one.seconds for one in seen) <= BUDGET + SLACK + ROOM
            server.start()
            assert {one.status for one in until(site, lambda one: one.source == "live")} == {200}

    @needs_pgbouncer
    @pytest.mark.timeout(240)
    def test_a_crowd_leaves_sessions_for_others(self, server: PostgresServer, tmp_path: Path) -> None:
        """In session mode each kept connection is a session less: those who waited opened the breaker."""
        with (
            PgBouncerServer(server, "session") as pooler,
            running(server, pooler, "crowd", tmp_path) as (site, _),
            ThreadPoolExecutor(32) as readers,
        ):
            end = time.monotonic() + 8
            found = [reader.result() for reader in [readers.submit(until_then, site, end) for _ in range(32)]]
            seen = [one for each in found for one in each]
            assert {(one.status, one.breaker) for one in seen} == {(200, "CLOSED")}
            (pool,) = [row for row in pooler.console("SHOW POOLS") if row["database"] == "crowd"]
            assert pool["cl_waiting"] == 0
            assert int(str(pool["cl_active"])) <= 6  # two kept by each worker, and what the steward asks by


def until_then(site: Site, end: float) -> list[Seen]:
    seen: list[Seen] = []
    while time.monotonic() < end:
        seen.append(site.ask())
        time.sleep(0.02)
    return seen


def until(site: Site, happens: Callable[[Seen], bool]) -> list[Seen]:
    """Ask until an answer is as wanted, for half a minute at most; return all of them."""
    seen: list[Seen] = []
    end = time.monotonic() + 30
    while not seen or not happens(seen[-1]):
        assert time.monotonic() < end, seen[-3:]
        seen.append(site.ask())
    return seen


def works(site: Site) -> None:
    """Sign in, write with and without a key, read; nothing of it by a stand-in, nothing counted as failed."""
    json_body = {"Content-Type": "application/json"}
    signed_in = site.post(
        "/api/auth/token", json.dumps({"username": "ada", "password": PASSWORD}), timeout=10.0, **json_body
    )
    assert signed_in.status == 200, signed_in
    may = json_body | {"Authorization": f"Bearer {json.loads(signed_in.body)['access_token']}"}
    for number in range(5):
        body = json.dumps({"title": f"Pooled {number}"})
        assert site.post("/api/categories", body, timeout=10.0, **may).status == 201
        keyed = may | {"Idempotency-Key": f"key-{number}"}
        first, again = (
            site.post("/api/categories", json.dumps({"title": f"Keyed {number}"}), timeout=10.0, **keyed)
            for _ in "ab"
        )
        assert (first.status, again.status, again.headers["Idempotent-Replayed"]) == (201, 201, "true")
        read = site.get(f"/api/categories?search=pooled{number}%20{number}")
        assert (read.status, read.headers["X-Data-Source"]) == (200, "live")
    said = json.loads(site.manage("health", "--json").stdout)
    database = said["services"]["database"]
    assert (database["state"], database["failures"], said["pings"]["database"]["ok"]) == ("CLOSED", 0, True)
