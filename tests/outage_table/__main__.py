"""`make outage-table`: each outage under load, with production's settings; Markdown on standard output."""

from __future__ import annotations

import argparse
import http.client
import json
import math
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.tables import table
from tests.faultproxy import FaultProxy
from tests.outage_table import load
from tests.outage_table.load import Seen
from tests.servers import PostgresServer, RedisServer
from tests.servers.nginx import NginxServer
from tests.servers.site import SiteServer

RATE = 20.0
# A probe that just failed is repeated after an open interval of 15 s.
BEFORE, FAULT, AFTER = 15.0, 30.0, 18.0
REPLACED = 30.0
HEADS = (
    *("outage", "answers", "200, %", "right for its label, %", "sources during", "p50 before, ms"),
    *("p50 during, ms", "p50 after, ms", "p99 before, ms", "p99 during, ms", "p99 after, ms", "slowest, s"),
    "live again after, s",
)
FIXTURES = [f"fixtures/{name}.json" for name in ("categories", "fields", "courses")]


@dataclass
class World:
    """The servers of one run."""

    postgres: PostgresServer
    redis: RedisServer
    wire: FaultProxy
    site: SiteServer


@dataclass(frozen=True)
class Outage:
    """What happens, and how it is undone; `replaced`: the server in the middle of it."""

    name: str
    begin: Callable[[World], object]
    end: Callable[[World], object]
    replaced: bool = False
    nginx: bool = False


def _both(*calls: Callable[[World], object]) -> Callable[[World], object]:
    return lambda world: [call(world) for call in calls]


def kill_postgres(world: World) -> None:
    world.postgres.kill()


def start_postgres(world: World) -> None:
    world.postgres.start()


def freeze_postgres(world: World) -> None:
    world.postgres.freeze()


def thaw_postgres(world: World) -> None:
    world.postgres.thaw()


def kill_redis(world: World) -> None:
    world.redis.kill()


def start_redis(world: World) -> None:
    world.redis.start()


def freeze_redis(world: World) -> None:
    world.redis.freeze()


def thaw_redis(world: World) -> None:
    world.redis.thaw()


def slow(world: World) -> None:
    world.wire.set("latency", delay=5.0)


def quick(world: World) -> None:
    world.wire.set("pass")


def nothing(world: World) -> None:
    pass


ALL_DEAD = (_both(kill_postgres, kill_redis), _both(start_postgres, start_redis))
ALL_FROZEN = (_both(freeze_postgres, freeze_redis), _both(thaw_postgres, thaw_redis))
OUTAGES = [
    Outage("PostgreSQL killed", kill_postgres, start_postgres),
    Outage("PostgreSQL frozen", freeze_postgres, thaw_postgres),
    Outage("PostgreSQL slow by 5 s", slow, quick),
    Outage("Redis killed", kill_redis, start_redis),
    Outage("Redis frozen", freeze_redis, thaw_redis),
    Outage("both killed", *ALL_DEAD),
    Outage("both frozen", *ALL_FROZEN),
    Outage("none, server replaced", nothing, nothing, replaced=True),
    Outage("both killed, server replaced", *ALL_DEAD, replaced=True),
    Outage("PostgreSQL frozen, nginx in front", freeze_postgres, thaw_postgres, nginx=True),
    Outage("both killed, nginx in front", *ALL_DEAD, nginx=True),
    Outage("both killed, nginx in front, server replaced", *ALL_DEAD, replaced=True, nginx=True),
]


def main() -> None:
    """Run the outages that were asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of a name")
    options = parser.parse_args()
    rows = []
    for outage in OUTAGES:
        if options.only in outage.name:
            print(f"{outage.name} …", file=sys.stderr, flush=True)
            rows.append(_row(outage))
    print(
        f"Two workers, {RATE:g} mixed reads a second, a third of them never asked before. The fault lasts "
        f"from second {BEFORE:g} to {BEFORE + FAULT:g}; “right” compares a body with the healthy one of the "
        f"same address. A server that is replaced gets its successor at second {REPLACED:g}, by SIGHUP; "
        "status 0 would be a request without an answer.\n"
    )
    print(table(HEADS, rows))


def _row(outage: Outage) -> list[str]:
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer())
        redis = stack.enter_context(RedisServer())
        wire = stack.enter_context(FaultProxy(postgres.port))
        site = SiteServer(
            DATABASE_URL=postgres.url.replace(f":{postgres.port}", f":{wire.port}"),
            REDIS_URL=f"redis://127.0.0.1:{redis.port}/0",
            ALLOWED_HOSTS="localhost,127.0.0.1,learn.example",
            TRUSTED_PROXIES="127.0.0.1" if outage.nginx else "",
            DRAIN_SECONDS="5",
        )
        for command in (["migrate"], ["loaddata", *FIXTURES], ["fallback", "export"]):
            _manage(site, *command)
        stack.enter_context(site)
        world = World(postgres, redis, wire, site)
        get: load.Get = (
            _through(stack.enter_context(NginxServer(site.port))) if outage.nginx else _plain(site)
        )
        asked = load.paths(7, int(RATE * (BEFORE + FAULT + AFTER)))
        for path in load.USUAL:
            get(path)
        events: list[tuple[float, Callable[[], object]]] = [
            (BEFORE, lambda: outage.begin(world)),
            (BEFORE + FAULT, lambda: outage.end(world)),
        ]
        servers = site.servers()
        if outage.replaced:
            events.append((REPLACED, site.roll))
        seen = load.run(get, asked, rate=RATE, events=events)
        if (site.servers() != servers) != outage.replaced:
            raise RuntimeError(f"{outage.name}: replaced is not {outage.replaced}")
        while get("/api/courses?page=2&page_size=7")[1]["x-system-degraded"] == "true":
            time.sleep(0.2)
        truth = {path: get(path) for path in {each.path for each in seen}}
        return _summary(outage, seen, truth)


def _summary(outage: Outage, seen: list[Seen], truth: dict[str, Any]) -> list[str]:
    def right(each: Seen) -> bool:
        body = dict(each.body)
        said = body.pop("degradation", None)
        labelled = (said is None) if each.source in ("live", "none") else True
        if each.source in ("static", "mock"):
            labelled = said is not None and said["source"] == each.source
        return labelled and truth[each.path][0] == 200 and body == json.loads(truth[each.path][2])

    good = [each for each in seen if each.status == 200]
    spans = [(0.0, BEFORE), (BEFORE, BEFORE + FAULT), (BEFORE + FAULT, math.inf)]
    parts = [sorted(each.seconds for each in seen if low <= each.at < high) for low, high in spans]
    during = Counter(
        each.source if each.status == 200 else str(each.status)
        for each in seen
        if BEFORE <= each.at < BEFORE + FAULT
    )
    back = [each.at for each in seen if each.at > BEFORE + FAULT and each.source == "live"]
    return [
        outage.name,
        str(len(seen)),
        f"{100 * len(good) / len(seen):.2f}",
        f"{100 * sum(map(right, good)) / max(1, len(good)):.2f}",
        ", ".join(f"{name}: {count}" for name, count in sorted(during.items())),
        *(f"{1000 * part[int(len(part) * share)]:.0f}" for share in (0.5, 0.99) for part in parts),
        f"{max(each.seconds for each in seen):.2f}",
        f"{min(back) - BEFORE - FAULT:.1f}" if back else "never",
    ]


def _manage(site: SiteServer, *arguments: str) -> None:
    command = [
        sys.executable,
        "manage.py",
        *arguments,
        *([] if "fallback" in arguments else ["--verbosity=0"]),
    ]
    subprocess.run(command, env=dict(site.environment()), check=True, stdout=subprocess.DEVNULL)


def _lower(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _plain(site: SiteServer) -> load.Get:
    def get(path: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=15)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, _lower(response), response.read()
        finally:
            connection.close()

    return get


def _through(nginx: NginxServer) -> load.Get:
    context = ssl.create_default_context(cafile=str(nginx.certificate))

    def get(path: str) -> tuple[int, dict[str, str], bytes]:
        plain = socket.create_connection(("127.0.0.1", nginx.tls_port), timeout=15)
        connection = http.client.HTTPSConnection("learn.example", context=context)
        connection.sock = context.wrap_socket(plain, server_hostname="learn.example")
        try:
            connection.request("GET", path, headers={"Host": "learn.example"})
            response = connection.getresponse()
            return response.status, _lower(response), response.read()
        finally:
            connection.close()

    return get


if __name__ == "__main__":
    main()
