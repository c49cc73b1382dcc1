"""What a request costs over HTTP: this app in each tier, the same app plain, with cache_page, and bare bytes.

    python -m benchmarks.http [--rounds 5]

Each site is one granian worker; one client with a kept connection asks them in turn, round by round. The
figure is processor time of the whole site per request, from the scheduler's count of each of its threads, as
a multiple of a bare WSGI callable that sends the same bytes on the same server.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.servers import PostgresServer, RedisServer
from tests.servers.process import free_port
from tests.servers.site import SiteServer

LIST = "/api/courses"
DETAIL = "/api/courses/dance-107-topics-in-rhythm-in-dance"
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
    """One row: what is asked of which site; `counts` requests in a round."""

    name: str
    kind: str
    site: SiteServer
    paths: Iterator[str]
    count: int
    headers: dict[str, str] = field(default_factory=dict)
    servers: tuple[int, ...] = ()  # processes of the database and the cache that it asks


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with ExitStack() as stack:
        cases = _cases(stack)
        spent: dict[tuple[str, str], list[float]] = {(case.kind, case.name): [] for case in cases}
        whole: dict[tuple[str, str], list[float]] = {(case.kind, case.name): [] for case in cases}
        rates: dict[tuple[str, str], list[float]] = {(case.kind, case.name): [] for case in cases}
        for number in range(options.rounds + 1):
            print(f"round {number} of {options.rounds}", file=sys.stderr, flush=True)
            for case in cases:
                cost, both, rate = _measure(case)
                if number:  # the first one warms up
                    spent[case.kind, case.name].append(cost)
                    whole[case.kind, case.name].append(both)
                    rates[case.kind, case.name].append(rate)
    print("| request | site | processor, µs | times bare | spread | with its servers, µs | requests/s |")
    print("| --- | --- | ---: | ---: | --- | ---: | ---: |")
    for kind, name in spent:
        bare = statistics.median(spent[kind, "bare callable"])
        costs = spent[kind, name]
        ratios = [cost / base for cost, base in zip(costs, spent[kind, "bare callable"], strict=True)]
        print(
            f"| {kind} | {name} | {statistics.median(costs):.0f} | {statistics.median(costs) / bare:.1f} | "
            f"{min(ratios):.1f} to {max(ratios):.1f} | {statistics.median(whole[kind, name]):.0f} | "
            f"{statistics.median(rates[kind, name]):.0f} |"
        )


def _cases(stack: ExitStack) -> list[Case]:
    postgres = stack.enter_context(PostgresServer())
    redis = stack.enter_context(RedisServer())
    folder = Path(stack.enter_context(TemporaryDirectory()))
    shared: Any = {"DATABASE_URL": postgres.url, "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0"}
    ours = SiteServer(workers=1, **shared)
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
    answers.write_text(json.dumps({path: _answer(ours, path) for path in (LIST, DETAIL, HEALTH)}))
    bare = stack.enter_context(BareSite(workers=1, BARE_ANSWERS=str(answers)))
    tag = ours.get(LIST).headers["ETag"]
    servers = (postgres.pid, redis.pid)
    same = itertools.repeat
    return [
        Case("bare callable", "list", bare, same(LIST), 4000),
        Case("this app, fresh", "list", ours, same(LIST), 4000),
        Case("cache_page on django-redis", "list", cached, same(LIST), 1000, servers=servers),
        Case("this app, live", "list", ours, _never_asked(), 400, servers=servers),
        Case("plain Django and DRF", "list", plain, _never_asked(), 400, servers=servers),
        Case("this app, everything dead", "list", dead, _never_asked(), 400),
        Case("bare callable", "entry", bare, same(DETAIL), 4000),
        Case("this app, fresh", "entry", ours, same(DETAIL), 4000),
        Case("cache_page on django-redis", "entry", cached, same(DETAIL), 1000, servers=servers),
        Case("plain Django and DRF", "entry", plain, same(DETAIL), 400, servers=servers),
        Case("bare callable", "304", bare, same(LIST), 4000),
        Case("this app, fresh", "304", ours, same(LIST), 4000, {"If-None-Match": tag}),
        Case("bare callable", "health", bare, same(HEALTH), 4000),
        Case("this app", "health", ours, same(HEALTH), 2000),
        Case("this app, everything dead", "health", dead, same(HEALTH), 2000),
    ]


def _never_asked() -> Iterator[str]:
    """Yield lists that differ to a store, and are the same work: blanks to search for, and a page."""
    for blanks in itertools.count(1):
        for page in range(1, 60):
            yield f"{LIST}?search={'+' * (blanks % 190)}&page={page}&ordering=title"


def _measure(case: Case) -> tuple[float, float, float]:
    connection = http.client.HTTPConnection("127.0.0.1", case.site.port, timeout=10)
    paths = [next(case.paths) for _ in range(case.count)]
    before, theirs = _processor(case.site.pid), sum(map(_processor, case.servers))
    started = time.monotonic()
    for path in paths:
        connection.request("GET", path, headers=case.headers)
        response = connection.getresponse()
        response.read()
        assert response.status in (200, 304), (path, response.status)
    took = time.monotonic() - started
    used = _processor(case.site.pid) - before
    both = used + sum(map(_processor, case.servers)) - theirs
    connection.close()
    return used / case.count * 1e6, both / case.count * 1e6, case.count / took


def _processor(pid: int) -> float:
    """Return the seconds of processor of a process and its children."""
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0]) / 1e9
        for child in (task / "children").read_text().split():
            total += _processor(int(child))
    return total


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


def _answer(site: SiteServer, path: str) -> tuple[str, list[tuple[str, str]], str]:
    found = site.get(path)
    kept = [(name, value) for name, value in found.headers.items() if name.lower() != "content-length"]
    return f"{found.status} OK", kept, found.body


if __name__ == "__main__":
    main()
