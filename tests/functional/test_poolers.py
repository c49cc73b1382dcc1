"""The whole site behind a pooler, and what it leaves in its sessions.

`make poolers` tries each kind of pooler, `make test` PgBouncer in transaction mode.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from tests.functional.outages import Site
from tests.resilience.db.poolers import left_behind, needs_pgbouncer
from tests.servers import PostgresServer
from tests.servers.pgbouncer import PgBouncerServer
from tests.startup_relay import StartupRelay

KINDS = [
    pytest.param(kind, marks=needs_pgbouncer if kind in ("transaction", "session") else ())
    for kind in (
        ("transaction", "session", "refuse", "drop") if os.environ.get("POOLERS") else ("transaction",)
    )
]
PASSWORD = "correct horse battery"
PREPARE = """
from django.contrib.auth.models import User
from django.core.management import call_command
User.objects.create_superuser("ada", "ada@example.org", PASSWORD)
call_command("loaddata", "fixtures/categories.json", "fixtures/fields.json", verbosity=0)
call_command("export_catalogue", DIRECTORY)
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


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", KINDS)
def test_a_site_works_behind_a_pooler(server: PostgresServer, kind: str, tmp_path: Path) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {kind}")
    of_its_own = SimpleNamespace(
        url=server.url.replace("/postgres", f"/{kind}"),
        port=server.port,
        user=server.user,
        password=server.password,
    )
    with before(server, kind) as pooler:
        site = Site(of_its_own, pooler, DJANGO_SETTINGS_MODULE="tests.functional.slow_migration.settings")  # type: ignore[arg-type]
        prepare = f"PASSWORD, DIRECTORY = {PASSWORD!r}, {str(tmp_path)!r}\n{PREPARE}"
        for command in (["migrate"], ["shell", "-c", prepare]):
            ran = site.manage(*command, "--verbosity=0")
            assert ran.returncode == 0, ran.stderr  # the migration took five seconds
        assert len(json.loads((tmp_path / "categories.json").read_text())) > 30
        checked = site.manage("check", "--database=default", "--fail-level=WARNING")
        assert "SET LOCAL" in checked.stderr, checked.stderr
        assert checked.returncode == 0
        with site:
            works(site)
        if isinstance(pooler, PgBouncerServer):
            assert left_behind(pooler) == {"settings": [], "others": []}


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
