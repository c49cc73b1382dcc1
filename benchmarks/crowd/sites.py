"""The sites that a crowd asks: this app, the same app as plain Django and DRF, and that with `cache_page`.

All share one PostgreSQL and one Redis, and run beside each other; only one is asked at a time.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from benchmarks.crowd.pace import Pace
from tests.servers import PostgresServer, RedisServer
from tests.servers.site import SiteServer

PASSWORD = "a crowd of visitors"  # noqa: S105 - of accounts that this run makes
STAFF = "writer"
ACCOUNTS = 4_000  # an account has five attempts a minute, and the run begins with others each time
# One hash for all, as the site's own hasher makes it: a sign-in costs what it costs anywhere.
MAKE_ACCOUNTS = f"""
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
password = make_password({PASSWORD!r})
User.objects.create(username={STAFF!r}, password=password, is_staff=True, is_superuser=True)
User.objects.bulk_create(User(username=f"visitor-{{n}}", password=password) for n in range({ACCOUNTS}))
"""
FIXTURES = [f"fixtures/{name}.json" for name in ("categories", "fields", "courses")]

_names = itertools.cycle(range(ACCOUNTS))


class CrowdSite(SiteServer):
    """A site with two workers, whose connections PostgreSQL counts under its name."""

    def __init__(self, name: str, variables: Mapping[str, str], *, threads: int | None = None) -> None:
        own: Any = {"PGAPPNAME": name} | dict(variables)  # libpq's own variable
        super().__init__(**own)
        self.name = name
        if threads is None:
            del self.variables["WEB_THREADS"]  # this app's own number
        else:
            self.variables["WEB_THREADS"] = str(threads)

    def token(self) -> str:
        """Sign in as staff, and return an access token."""
        given = json.dumps({"username": STAFF, "password": PASSWORD})
        as_json: Any = {"Content-Type": "application/json"}
        answer = self.post("/api/auth/token", given, **as_json)
        assert answer.status == 200, (answer.status, answer.body)
        token: str = json.loads(answer.body)["access_token"]
        return token

    def openings(self) -> list[str]:
        """Return what its log says of each breaker that has opened, and of its last failure."""
        return re.findall(r'"message": "(\S+: CLOSED to OPEN, .*?)"', self.log.read_text())

    def memory(self) -> tuple[float, float]:
        """Return the MB of the heaviest worker: resident, and its share of what several have (Pss)."""
        return max(_memory(worker) for worker in self.workers())


class AsgiSite(CrowdSite):
    """One process that serves by ASGI, where each request has a thread of its own."""

    def command(self) -> list[str | Path]:
        return [
            *(sys.executable, "-m", "granian", "--interface", "asgi", "--workers", "1"),
            *("--port", str(self.port), "zenow.asgi:application"),
        ]


@dataclass(frozen=True)
class Field:
    """What a benchmark of a crowd has: two servers, two sites that run, and how slow the courses are."""

    postgres: PostgresServer
    shared: dict[str, str]
    ours: CrowdSite
    plain: CrowdSite
    pace: Pace

    def peer(self, name: str, settings: str) -> CrowdSite:
        """Return another site of the same servers, without guards."""
        return _plain(name, settings, self.shared)


@contextmanager
def field() -> Iterator[Field]:
    """Start servers and sites, with the catalogue and accounts in the database."""
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer())
        redis = stack.enter_context(RedisServer())
        shared = {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url}
        ours = CrowdSite("ours", shared)
        fill(ours)
        plain = _plain("plain", "benchmarks.sites.plain", shared)
        for site in (ours, plain):
            stack.enter_context(site)
        yield Field(postgres, shared, ours, plain, stack.enter_context(Pace(postgres.url, "learn_course")))


def fill(site: SiteServer) -> None:
    """Make the tables, the catalogue, its static copy and the accounts."""
    for command in (
        ("migrate", "-v0"),
        ("loaddata", "-v0", *FIXTURES),
        ("fallback", "export"),
        ("shell", "-v0", "-c", MAKE_ACCOUNTS),
    ):
        ran = site.manage(*command)
        if ran.returncode:
            raise subprocess.CalledProcessError(ran.returncode, command[0], ran.stdout, ran.stderr)


def names() -> Iterator[str]:
    """Yield the usernames of accounts, in turn: each caller goes on where the last one stopped."""
    return (f"visitor-{number}" for number in _names)


class Connections:
    """The most connections that each application had meanwhile, as PostgreSQL counts them twice a second."""

    EVERY = 0.5
    _COUNT = "SELECT application_name, count(*) FROM pg_stat_activity GROUP BY 1"

    def __init__(self, postgres: PostgresServer) -> None:
        self.most: dict[str, int] = {}
        self._postgres = postgres
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def of(self, site: CrowdSite) -> int:
        """Return the most that one site had."""
        return self.most.get(site.name, 0)

    def _watch(self) -> None:
        with psycopg.connect(self._postgres.url, autocommit=True) as connection:
            while not self._stop.wait(self.EVERY):
                for name, count in connection.execute(self._COUNT).fetchall():
                    self.most[name] = max(count, self.most.get(name, 0))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


def _plain(name: str, settings: str, shared: Mapping[str, str]) -> CrowdSite:
    own = {"DJANGO_SETTINGS_MODULE": settings, "RESILIENCE_ROLE": "command"}
    return CrowdSite(name, {**shared, **own}, threads=16)


def _memory(pid: int) -> tuple[float, float]:
    said = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return _kilobytes("Rss", said) / 1024, _kilobytes("Pss", said) / 1024


def _kilobytes(name: str, said: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", said, re.MULTILINE)
    assert found is not None, name
    return int(found[1])


def reversed_each(rounds: int, sites: Sequence[CrowdSite]) -> Iterator[tuple[int, Sequence[CrowdSite]]]:
    """Yield the number of each round and its sites: every other round in the reverse order."""
    for number in range(rounds):
        yield number, sites if number % 2 == 0 else sites[::-1]
