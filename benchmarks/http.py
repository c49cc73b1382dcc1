"""What a request costs over HTTP: this app in each tier, the same app plain, with cache_page, and bare bytes.

    python -m benchmarks.http [--rounds 5]

Each site is one granian worker; one client with a kept connection asks them in turn, round by round. The
figure is processor time of the whole site per request, as the scheduler counts it, as a multiple of a bare
WSGI callable that sends the same bytes on the same server.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import quote

from benchmarks.processor import processor_of
from benchmarks.tables import spread, table
from tests.servers import PostgresServer, RedisServer
from tests.servers.nginx import PROGRAM as NGINX
from tests.servers.nginx import NginxServer
from tests.servers.process import free_port
from tests.servers.site import SiteServer

BARE = "bare callable"
LIST = "/api/courses"
ENTRY = "/api/courses/dance-107-topics-in-rhythm-in-dance"
HEALTH = "/api/health"


class BareSite(SiteServer):
    """The callable of `benchmarks.sites.bare`, on the same server."""

    def command(self) -> list[str | Path]:
        return [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(self.port)),
            *("--blocking-threads", "4", "--no-ws", "benchmarks.sites.bare:application"),
        ]

    def answers(self) -> bool:
        try:
            return self.get(LIST).status == 200
        except (OSError, http.client.HTTPException):
            return False


@dataclass
class Case:
    """One row: what is asked of which site, `count` times in a round.

    `shows` names a header and how its value begins in an answer that is what the row is named after; nearly
    all must be: a stored answer that has grown old is made again. `beside` are the processes of the database
    and the cache that serve it too; nginx in front counts as part of the site.
    """

    request: str
    site: str
    server: SiteServer
    paths: Iterator[str]
    count: int
    shows: tuple[str, str] = ("Content-Type", "application/json")
    tag: str = ""
    beside: tuple[int, ...] = ()
    nginx: NginxServer | None = None

    def processor(self) -> float:
        """Return the seconds of processor that the site has used."""
        return processor_of(self.server.pid) + (processor_of(self.nginx.pid) if self.nginx else 0.0)

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that is kept, over TLS where nginx is in front."""
        if self.nginx is None:
            return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        context = ssl.create_default_context(cafile=str(self.nginx.certificate))
        plain = socket.create_connection(("127.0.0.1", self.nginx.tls_port), timeout=10)
        connection = http.client.HTTPSConnection("learn.example", context=context)
        connection.sock = context.wrap_socket(plain, server_hostname="learn.example")
        return connection


class Measured(NamedTuple):
    """One round: µs of processor per request, of the site and with what serves it; requests per second."""

    cost: float
    whole: float
    rate: float


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with ExitStack() as stack:
        cases = _cases(stack)
        found: dict[tuple[str, str], list[Measured]] = {(case.request, case.site): [] for case in cases}
        for number in range(options.rounds + 1):
            print(f"round {number} of {options.rounds}", file=sys.stderr, flush=True)
            for case in cases:
                measured = _measure(case)
                if number:  # the first one warms up
                    found[case.request, case.site].append(measured)
    rows = []
    for (request, site), rounds in found.items():
        bare = found[request, BARE]
        ratios = [ours.cost / theirs.cost for ours, theirs in zip(rounds, bare, strict=True)]
        costs = spread([each.cost for each in rounds], ".0f")
        wholes = spread([each.whole for each in rounds], ".0f")
        rates = spread([each.rate for each in rounds], ".0f")
        rows.append((request, site, costs, spread(ratios), wholes, rates))
    print(
        f"{options.rounds} rounds, in each all rows in turn, one granian worker a site, one client: "
        "median (lowest to highest round).\n"
    )
    heads = ("request", "site", "processor, µs", "times bare", "with its servers, µs", "requests/s")
    print(table(heads, rows))


def _cases(stack: ExitStack) -> list[Case]:
    postgres = stack.enter_context(PostgresServer())
    redis = stack.enter_context(RedisServer())
    folder = Path(stack.enter_context(TemporaryDirectory()))
    shared: Any = {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url}
    ours = SiteServer(workers=1, **shared, ALLOWED_HOSTS="127.0.0.1,learn.example")
    _fill(ours)
    plain = SiteServer(
        workers=1, **shared, DJANGO_SETTINGS_MODULE="benchmarks.sites.plain", RESILIENCE_ROLE="command"
    )
    cached = SiteServer(
        workers=1, **shared, DJANGO_SETTINGS_MODULE="benchmarks.sites.cached", RESILIENCE_ROLE="command"
    )
    dead = SiteServer(
        workers=1,
        DATABASE_URL=f"postgres://nobody:nothing@127.0.0.1:{free_port()}/none",
        REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",
        STATIC_DIR=str(ours.directory / "static-tier"),
    )
    for site in (ours, plain, cached, dead):
        stack.enter_context(site)
    _until_static(dead)
    answers = folder / "answers.json"
    tag, theirs = (site.get(LIST).headers["ETag"] for site in (ours, cached))
    known = {path: _answer(ours, path) for path in (LIST, ENTRY, HEALTH)}
    known[f"{LIST} 304"] = _answer(ours, LIST, tag)
    answers.write_text(json.dumps(known))
    bare = stack.enter_context(BareSite(workers=1, BARE_ANSWERS=str(answers)))

    same, other = itertools.repeat, itertools.cycle(_entries(ours))
    fresh, live, static = (("X-Data-Source", source) for source in ("cached", "live", "static"))
    database: Any = {"beside": (postgres.pid, redis.pid)}
    cases = [
        Case("list", BARE, bare, same(LIST), 1000),
        Case("list", "this app, fresh", ours, same(LIST), 1000, fresh),
        Case("list", "cache_page on django-redis", cached, same(LIST), 400, **database),
        Case("list", "this app, live", ours, _never_asked(), 150, live, **database),
        Case("list", "plain Django and DRF", plain, _never_asked(), 150, **database),
        Case("list", "this app, everything dead", dead, _never_asked(), 150, static),
        Case("entry", BARE, bare, same(ENTRY), 1000),
        Case("entry", "this app, fresh", ours, same(ENTRY), 1000, fresh),
        Case("entry", "cache_page on django-redis", cached, same(ENTRY), 400, **database),
        Case("entry", "this app, live", ours, other, 150, live, **database),
        Case("entry", "plain Django and DRF", plain, other, 150, **database),
        Case("entry", "this app, everything dead", dead, other, 150, static),
        Case("304", BARE, bare, same(LIST), 1000, fresh, tag),
        Case("304", "this app, fresh", ours, same(LIST), 1000, fresh, tag),
        Case(
            "304", "cache_page on django-redis", cached, same(LIST), 400, ("ETag", theirs), theirs, **database
        ),
        Case("health", BARE, bare, same(HEALTH), 500),
        Case("health", "this app", ours, same(HEALTH), 500),
        Case("health", "this app, everything dead", dead, same(HEALTH), 500),
    ]
    if NGINX:
        nginx = stack.enter_context(NginxServer(ours.port))
        hit = ("Cache-Status", "nginx; hit")
        for request, path in (("list", LIST), ("entry", ENTRY)):
            # Its connections end after a thousand requests.
            case = Case(request, "this app behind nginx, hit", ours, same(path), 500, hit)
            case.nginx = nginx
            cases.append(case)
    return sorted(cases, key=lambda case: ("list", "entry", "304", "health").index(case.request))


def _never_asked() -> Iterator[str]:
    """Yield lists that differ to a store, and are the same work: blanks to search for, and a page."""
    for blanks in itertools.count(1):
        for page in range(1, 60):
            yield f"{LIST}?search={'+' * (blanks % 190)}&page={page}&ordering=title"


def _entries(site: SiteServer) -> list[str]:
    """Return the paths of all courses: more than are asked for while an answer is fresh."""
    paths: list[str] = []
    for page in itertools.count(1):
        found = json.loads(site.get(f"{LIST}?page_size=100&page={page}").body)
        paths += [f"{LIST}/{quote(entry['slug'])}" for entry in found["results"]]
        if not found["next"]:
            return paths
    raise AssertionError("a list without an end")


def _measure(case: Case) -> Measured:
    connection = case.connect()
    paths = [next(case.paths) for _ in range(case.count)]
    headers = {"If-None-Match": case.tag} if case.tag else {}
    name, begins = case.shows
    shown = 0
    before, beside = case.processor(), sum(map(processor_of, case.beside))
    started = time.monotonic()
    for path in paths:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.read()
        assert response.status == (304 if case.tag else 200), (path, response.status)
        shown += response.headers.get(name, "").startswith(begins)
    took = time.monotonic() - started
    used = case.processor() - before
    whole = used + sum(map(processor_of, case.beside)) - beside
    connection.close()
    if case.count - shown > 1 + case.count // 50:
        raise RuntimeError(f"{case.request}, {case.site}: {shown} of {case.count} said {name}: {begins}")
    return Measured(used / case.count * 1e6, whole / case.count * 1e6, case.count / took)


def _fill(site: SiteServer) -> None:
    fixtures = [f"fixtures/{name}.json" for name in ("categories", "fields", "courses")]
    for command in (["migrate", "-v0"], ["loaddata", "-v0", *fixtures], ["fallback", "export"]):
        manage = [sys.executable, "manage.py", *command]
        subprocess.run(manage, env=dict(site.environment()), check=True, stdout=subprocess.DEVNULL)


def _until_static(site: SiteServer) -> None:
    _until(
        lambda: site.get(LIST).headers["X-Data-Source"] == "static" and "OPEN" in str(site.get(LIST).headers)
    )


def _until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not true():
        if time.monotonic() > limit:
            raise RuntimeError("the site never became what is to be measured")
        time.sleep(0.1)


def _answer(site: SiteServer, path: str, tag: str = "") -> tuple[str, list[tuple[str, str]], str]:
    headers: Any = {"If-None-Match": tag} if tag else {}
    found = site.get(path, **headers)
    kept = [(name, value) for name, value in found.headers.items() if name.lower() != "content-length"]
    return f"{found.status} OK", kept, found.body


if __name__ == "__main__":
    main()
