"""`make drills`: drills of each dependency and each fault, with production's settings, and their verdicts.

    python -m tests.drill_table [--only "database, freeze"] [--reports FOLDER]

Markdown on standard output; the reports themselves lie in the folder (var/drills).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.tables import table
from tests.servers import PostgresServer, RedisServer
from tests.servers.partner import PartnerServer
from tests.servers.process import ServerProcess
from tests.servers.site import ROOT, SiteServer

AROUND, SECONDS, RATE = 5, 12, 20
HEADS = (
    *("dependency", "fault", "verdict", "missed", "reads", "200, %", "sources during"),
    *("p50 before, ms", "p50 during, ms", "slowest, s", "closed again after, s", "calls that met it"),
    *("sign-ins during", "sign-ins after"),
)
PASSWORD = "correct horse battery"
# Each may send five passwords a minute, so each drill has one of its own.
PEOPLE = ("ada", "grace", "linus", "margaret", "barbara", "donald")
FIXTURES = [f"fixtures/{name}.json" for name in ("categories", "fields", "courses")]
RATINGS = [
    "--path=/api/courses/russn-262-20th-century-russian-literature/rating",
    "--path=/api/courses?page={n}",
]


class World(NamedTuple):
    """The servers of the run."""

    site: SiteServer
    postgres: PostgresServer
    redis: RedisServer

    def server(self, dependency: str) -> ServerProcess:
        """Return the real thing behind a dependency."""
        return self.postgres if dependency == "database" else self.redis


@dataclass(frozen=True)
class Drill:
    """What is broken and how; `also`: further options."""

    dependency: str
    fault: str
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.dependency}, {self.fault}"

    @property
    def is_real(self) -> bool:
        return self.fault in ("kill", "freeze")


INJECTED = ("error", "latency", "hang", "flap")
DRILLS = [
    *(Drill("database", fault) for fault in (*INJECTED, "kill", "freeze")),
    *(Drill("cache", fault) for fault in (*INJECTED, "kill", "freeze")),
    *(Drill("auth", fault, (f"--user={who}",)) for fault, who in zip(INJECTED, PEOPLE, strict=False)),
    *(Drill("external_api", fault, tuple(RATINGS)) for fault in INJECTED),
    *(
        Drill("all", fault, (f"--user={who}", *RATINGS))
        for fault, who in zip(("error", "hang"), PEOPLE[4:], strict=True)
    ),
]


def main() -> None:
    """Hold the drills that were asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--reports", type=Path, default=ROOT / "var" / "drills")
    options = parser.parse_args()
    rows = []
    with world() as servers:
        for drill in DRILLS:
            if options.only in drill.name:
                print(f"{drill.name} …", file=sys.stderr, flush=True)
                folder = options.reports / drill.name.replace(", ", "-")
                rows.append(row(drill, held(drill, servers, folder)))
    print(
        f"Two workers with production's settings on PostgreSQL and Redis, {RATE} mixed reads a second, "
        f"{AROUND} s before the fault, {SECONDS} s in it, and after it until the breakers are closed and "
        f"{AROUND} s have passed. Injected faults hit every call; a latency is 1 s, a flap 1 s down and 1 s "
        "up. `kill` and `freeze` are done to the real server. Sign-ins are by password and by refresh token."
        "\n"
    )
    print(table(HEADS, rows))


@contextmanager
def world() -> Iterator[World]:
    """Start the site and all that it depends on, with a catalogue and people in it."""
    with PostgresServer() as postgres, RedisServer() as redis, PartnerServer() as partner:
        site = SiteServer(
            DATABASE_URL=postgres.url,
            REDIS_URL=redis.url,
            RATINGS_URL=f"http://127.0.0.1:{partner.port}/",
            DJANGO_SETTINGS_MODULE="tests.drill_table.settings",
        )
        people = (
            "from django.contrib.auth.models import User\n"
            f"for name in {PEOPLE!r}: User.objects.create_user(name, password={PASSWORD!r})"
        )
        for command in (
            ["migrate"],
            ["loaddata", *FIXTURES],
            ["shell", "-c", people],
            ["fallback", "export"],
        ):
            site.manage(*command).check_returncode()
        with site:
            yield World(site, postgres, redis)


def held(drill: Drill, servers: World, folder: Path) -> dict[str, Any]:
    """Hold a drill; start again what it kills, as an operator would; return its report."""
    options = [f"--fault={drill.fault}", f"--around={AROUND}", f"--seconds={SECONDS}", f"--rate={RATE}"]
    server = servers.server(drill.dependency)
    if drill.is_real:
        pid_file = server.log.with_name("drilled.pid")
        pid_file.write_text(f"{server.pid}\n")
        options.append(f"--pid-file={pid_file}")
    known = set(folder.glob("*.json"))
    with subprocess.Popen(
        [
            sys.executable,
            "-u",
            "manage.py",
            "drill",
            drill.dependency,
            *options,
            *drill.also,
            f"--report={folder}",
        ],
        env={**servers.site.environment(), "DRILL_PASSWORD": PASSWORD},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        said = []
        for line in process.stdout or ():
            said.append(line)
            if "start the server" in line:
                server.kill()  # It knows now that it is dead.
                server.start()
    new = set(folder.glob("*.json")) - known
    if not new:
        raise RuntimeError("".join(said))
    report: dict[str, Any] = json.loads(new.pop().read_text())
    return report


def row(drill: Drill, report: dict[str, Any]) -> list[str]:
    """Return a report's line of the table."""
    answers, phases = report["answers"], report["phases"]
    missed = [each["name"].partition(" within ")[0] for each in report["objectives"] if not each["met"]]
    good = sum(each["status"] == 200 for each in answers)
    during = ", ".join(f"{source}: {count}" for source, count in phases["during"]["sources"].items())
    recovered = report["recovered"]
    begin, end = report["fault"]
    return [
        drill.dependency,
        f"{drill.fault} of the server" if drill.is_real else drill.fault,
        "passed" if report["passed"] else "missed",
        "; ".join(missed) or "nothing",
        str(len(answers)),
        f"{100 * good / len(answers):.2f}",
        during,
        f"{1000 * phases['before']['p50']:.0f}",
        f"{1000 * phases['during']['p50']:.0f}",
        f"{max(each['seconds'] for each in answers):.2f}",
        "not in time" if recovered is None else f"{recovered:.1f}",
        str(sum(report["met"].values())),
        _statuses(each for each in report["sign_ins"] if begin <= each["at"] < end),
        _statuses(each for each in report["sign_ins"] if each["at"] >= end),
    ]


def _statuses(attempts: Iterator[dict[str, Any]]) -> str:
    found = sorted(Counter(each["status"] for each in attempts).items())
    return ", ".join(f"{status}: {count}" for status, count in found) or "none"


if __name__ == "__main__":
    main()
