"""How reads grow with the catalogue: 1,000 to 100,000 courses on PostgreSQL, and a static file of the most.

    python -m benchmarks.growth [--sizes 1000 10000 100000] [--rounds 15]

Wall milliseconds of a request through the view in one process. The courses are those of the fixtures
again and again, with a number in their titles.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.tables import spread, table
from tests.servers import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
REQUESTS = {
    "list": "/api/courses",
    "filtered list": "/api/courses?category=arts&level=200",
    "deep page": "/api/courses?page={deep}",
    "search": "/api/courses?search=jazz",
    "search, two words": "/api/courses?search=history+language&ordering=-title",
}


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=15, help="of requests, at each size")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        measure(options.sizes, options.rounds)
        return
    with tempfile.TemporaryDirectory() as directory, PostgresServer() as server:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "zenow.settings.base",
            "DATABASE_URL": server.url,
            "STATIC_DIR": f"{directory}/static",
            "RESILIENCE_EVENTS_DIR": f"{directory}/events",
            "SECRET_KEY": "only-for-benchmarks-" + "0123456789" * 5,
            "ALLOWED_HOSTS": "testserver",
        }
        manage = [sys.executable, "manage.py"]
        names = [f"fixtures/{name}.json" for name in ("categories", "fields", "courses")]
        subprocess.run([*manage, "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
        subprocess.run([*manage, "loaddata", "-v0", *names], cwd=ROOT, env=environment, check=True)
        inside = [sys.executable, "-m", "benchmarks.growth", "--inside", f"--rounds={options.rounds}"]
        subprocess.run([*inside, "--sizes", *map(str, options.sizes)], cwd=ROOT, env=environment, check=True)


def measure(sizes: list[int], rounds: int) -> None:
    """Grow the catalogue and time the requests, in a process that is set up for it."""
    import django

    django.setup()
    from django.db import connection

    from learn.models import Course
    from resilience.tiers.static import building, opened

    originals = list(Course.objects.order_by("pk"))
    live: dict[int, dict[str, list[float]]] = {}
    for size in sizes:
        _grow(originals, size)
        connection.cursor().execute("ANALYZE")
        live[size] = _times(size, rounds)
        print(f"{size} courses measured", file=sys.stderr, flush=True)
    print(f"Wall milliseconds of a request: median of {rounds} (fastest to slowest).\n")
    rows = []
    for name in REQUESTS:
        took = [live[size][name] for size in sizes]
        growth = statistics.median(took[-1]) / statistics.median(took[0])
        rows.append((name, *map(spread, took), f"{growth:.2f}"))
    print(table(("PostgreSQL", *(f"{size:,}" for size in sizes), "growth"), rows))
    started = time.monotonic()
    building.from_live()
    built = time.monotonic() - started
    with ExitStack() as stack:
        stack.enter_context(opened())
        static = _times(sizes[-1], rounds)
    print(f"\nThe static file of {sizes[-1]:,} courses was built in {built:.1f} s.\n")
    print(table(("static file", f"{sizes[-1]:,}"), ((name, spread(took)) for name, took in static.items())))


def _grow(originals: list[Any], size: int) -> None:
    from learn.models import Course

    number = Course.objects.count()
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


def _times(size: int, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each request, round by round; the first round, not counted, warms up."""
    from django.test import RequestFactory

    from learn.views import CourseViewSet

    view = CourseViewSet.as_view({"get": "list"})
    found: dict[str, list[float]] = {name: [] for name in REQUESTS}
    for number in range(rounds + 1):
        for name, path in REQUESTS.items():
            request = RequestFactory().get(path.format(deep=size // 20 - 5))
            started = time.perf_counter()
            response = view(request).render()
            took = (time.perf_counter() - started) * 1e3
            assert response.status_code == 200, response.content
            if number:
                found[name].append(took)
    return found


if __name__ == "__main__":
    main()
