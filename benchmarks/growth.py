"""How reads grow with the catalogue: 1,000 to 100,000 courses on PostgreSQL, and a static copy of the most.

    python -m benchmarks.growth [--sizes 1000 10000 100000] [--rounds 15]

A request goes through the view in a server process, without HTTP. The courses are those
of the fixtures again and again, with a number in their titles. Rows are counted once in each state of the
catalogue, so the first request after a write costs more than those that follow: both are measured.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.processor import processor_of
from benchmarks.tables import Table, spread, table
from tests.servers import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
REQUESTS = {
    "list": "/api/courses",
    "filtered list": "/api/courses?category=arts&level=200",
    "deep page": "/api/courses?page={deep}",
    "search": "/api/courses?search=jazz",
    "search, two words": "/api/courses?search=history+language&ordering=-title",
}


class Taken(NamedTuple):
    """What the rounds of one request took, in milliseconds: of processor, the database's too, and of time."""

    counted: list[float]  # of processor, when the rows are counted again
    kept: list[float]  # of processor, when their count is kept
    waited: list[float]  # until it was answered, when the count is kept


def main() -> None:
    """Print four tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=15, help="of requests, at each size")
    parser.add_argument("--inside", choices=["grow", "live", "static"], help=argparse.SUPPRESS)
    parser.add_argument("--postgres", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside == "grow":
        grow(options.sizes[0])
    elif options.inside:
        json.dump(measure(options.inside, options.sizes[0], options.rounds, options.postgres), sys.stdout)
    else:
        compare(options.sizes, options.rounds)


def compare(sizes: Sequence[int], rounds: int) -> None:
    """Grow a catalogue, ask it at each size, and print what that took."""
    with tempfile.TemporaryDirectory() as directory, PostgresServer() as server:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "zenow.settings.base",
            "DATABASE_URL": server.url,
            "RESILIENCE_DIR": f"{directory}/store",
            "STATIC_DIR": f"{directory}/static",
            "RESILIENCE_EVENTS_DIR": f"{directory}/events",
            "SECRET_KEY": "only-for-benchmarks-" + "0123456789" * 5,
            "ALLOWED_HOSTS": "testserver",
        }

        def run(*command: str, role: str = "command") -> str:
            done = subprocess.run(
                [sys.executable, *command],
                cwd=ROOT,
                env=environment | {"RESILIENCE_ROLE": role},
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            return done.stdout

        def inside(what: str, size: int, role: str) -> str:
            print(f"{what}: {size:,} courses", file=sys.stderr, flush=True)
            numbers = [f"--sizes={size}", f"--rounds={rounds}", f"--postgres={server.pid}"]
            return run("-m", "benchmarks.growth", f"--inside={what}", *numbers, role=role)

        run("manage.py", "migrate", "-v0")
        names = [f"fixtures/{name}.json" for name in ("categories", "fields", "courses")]
        run("manage.py", "loaddata", "-v0", *names)
        live: dict[int, dict[str, Taken]] = {}
        for size in sizes:
            inside("grow", size, "command")
            live[size] = _read(inside("live", size, "server"))
        started = time.monotonic()
        run("manage.py", "fallback", "export")
        built = time.monotonic() - started
        static = _read(inside("static", sizes[-1], "server"))
    print(f"{rounds} rounds at each size: median (lowest to highest).")
    print("\nMilliseconds of processor for a request, the database's included; the count of rows is kept.\n")
    print(_by_size(live, "kept"))
    print("\nThe same when the rows are counted again: the first request after a write.\n")
    print(_by_size(live, "counted"))
    print("\nMilliseconds until it is answered, with whatever else the machine did; the count is kept.\n")
    print(_by_size(live, "waited"))
    print(f"\n`manage.py fallback export` built a static copy of {sizes[-1]:,} courses in {built:.1f} s.\n")
    heads = ("static copy", "count kept, ms", "counted again, ms", "until answered, ms")
    rows = ((name, *map(spread, (each.kept, each.counted, each.waited))) for name, each in static.items())
    print(table(heads, rows))


def grow(size: int) -> None:
    """Make it so many courses, in a process that is set up for it."""
    import django

    django.setup()
    from django.db import connection

    from learn.models import Course

    surplus = Course.objects.order_by("pk").values("pk")[size:]
    Course.objects.filter(pk__in=surplus).delete()
    number = Course.objects.count()
    originals = list(Course.objects.order_by("pk")[:1_000])
    fresh: list[Any] = []
    for original in itertools.islice(itertools.cycle(originals), max(0, size - number)):
        number += 1
        values = {
            field.attname: getattr(original, field.attname)
            for field in Course._meta.concrete_fields
            if field.name not in ("id", "identity", "slug", "code")
        }
        course = Course(**values | {"title": f"{original.title} {number}", "slug": f"course-{number}"})
        course.prepare()
        fresh.append(course)
        if len(fresh) == 2_000:
            Course.objects.bulk_create(fresh)
            fresh = []
    Course.objects.bulk_create(fresh)
    connection.cursor().execute("VACUUM ANALYZE")


def measure(tier: str, size: int, rounds: int, postgres: int) -> dict[str, Taken]:
    """Return what each request took, in a process that is set up for it; a first round warms up."""
    import django

    django.setup()
    from django.test import RequestFactory
    from rest_framework.views import APIView

    from learn.views import CourseViewSet
    from resilience import registry
    from resilience.tiers import counts
    from resilience.tiers.static_copy import opened

    assert registry.is_server()

    class Plain(CourseViewSet):
        """The view alone: a stored answer would ask nothing."""

        dispatch = APIView.dispatch

    view = Plain.as_view({"get": "list"})

    def ask(path: str) -> tuple[float, float]:
        before, started = time.process_time() + processor_of(postgres), time.perf_counter()
        response = view(RequestFactory().get(path)).render()
        waited = time.perf_counter() - started
        used = time.process_time() + processor_of(postgres) - before
        assert response.status_code == 200, response.content
        return used * 1e3, waited * 1e3

    found = {name: Taken([], [], []) for name in REQUESTS}
    with ExitStack() as stack:
        if tier == "static":
            stack.enter_context(opened())
        for number in range(rounds + 1):
            for name, path in REQUESTS.items():
                path = path.format(deep=size // 20 - 5)
                counts.forget()
                counted, _ = ask(path)
                kept, waited = ask(path)
                if number:
                    for taken, value in zip(found[name], (counted, kept, waited), strict=True):
                        taken.append(value)
    return found


def _read(text: str) -> dict[str, Taken]:
    return {name: Taken(*lists) for name, lists in json.loads(text).items()}


def _by_size(live: dict[int, dict[str, Taken]], what: str) -> Table:
    rows = []
    for name in REQUESTS:
        took = [getattr(times[name], what) for times in live.values()]
        growth = statistics.median(took[-1]) / statistics.median(took[0])
        rows.append((name, *map(spread, took), f"{growth:.2f}"))
    return table(("PostgreSQL", *(f"{size:,}" for size in live), "growth"), rows)


if __name__ == "__main__":
    main()
