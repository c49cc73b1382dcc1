"""What the guarded engines cost: a course list and an entry on Django's own engines and on ours.

    python -m benchmarks.engine [--rounds 10]

One server process per database; requests alternate between the two engines, in random order within each pair,
on connections of the same kind to the same rows, so that whatever slows the machine slows both. Times are the
processor's in the server. The guard counts in a store of the host, as in production; every request checks the
health of its kept connection, as Django does.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.tables import table
from tests.servers import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
WARM_UP = 50
PAIRS = 100  # of requests in a round, for each page


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help=f"of {PAIRS} pairs of requests, for each page")
    parser.add_argument("--database", help=argparse.SUPPRESS)
    options = parser.parse_args()
    pairs = options.rounds * PAIRS
    if options.database:
        json.dump(measure(options.database, pairs), sys.stdout)
        return
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as directory, ExitStack() as servers:
        urls = {
            "SQLite": f"sqlite:///{directory}/catalogue.db",
            "PostgreSQL": servers.enter_context(PostgresServer()).url,
        }
        for database, url in urls.items():
            environment = os.environ | {
                "DJANGO_SETTINGS_MODULE": "zenow.settings.base",
                "DATABASE_URL": url,
                "RESILIENCE_DIR": f"{directory}/{database}",
                "SECRET_KEY": "only-for-benchmarks-" + "0123456789" * 5,
                "ALLOWED_HOSTS": "testserver",
            }
            manage = [sys.executable, "manage.py"]
            subprocess.run([*manage, "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
            names = [f"fixtures/{name}.json" for name in ("categories", "fields", "courses")]
            subprocess.run([*manage, "loaddata", "-v0", *names], cwd=ROOT, env=environment, check=True)
            command = [sys.executable, "-m", "benchmarks.engine", "--database", database]
            measured = subprocess.run(
                [*command, f"--rounds={options.rounds}"],
                cwd=ROOT,
                env=environment | {"RESILIENCE_ROLE": "server"},
                check=True,
                stdout=subprocess.PIPE,
            )
            rows += json.loads(measured.stdout)
    print(f"{pairs} pairs of requests for each page; medians, in brackets the quartiles of the pairs.\n")
    heads = (
        "database",
        "page",
        "queries",
        "Django's, µs",
        "guarded, µs",
        "more, %",
        "fastest tenth, more, %",
    )
    print(table(heads, rows))


def measure(database: str, pairs: int) -> list[list[str]]:
    """Return the rows of one database, in a process that is set up for it."""
    import django

    django.setup()
    from django.db import connections
    from django.db.utils import load_backend
    from django.test import RequestFactory
    from rest_framework.views import APIView

    from learn.models import Course
    from learn.views import CourseViewSet
    from resilience import registry

    assert registry.is_server()
    assert registry.store().kind == "host"
    settings = connections["default"].settings_dict
    engines: dict[str, Any] = {}
    for name, engine in (("guarded", settings["ENGINE"]), ("stock", _djangos(settings["ENGINE"]))):
        engines[name] = load_backend(engine).DatabaseWrapper({**settings, "ENGINE": engine}, "default")

    class Plain(CourseViewSet):
        """The view alone: a stored answer would ask no engine."""

        dispatch = APIView.dispatch

    slug = Course.objects.public().values_list("slug", flat=True)[500]
    factory = RequestFactory()
    pages: dict[str, Callable[[], Any]] = {
        "list": lambda: Plain.as_view({"get": "list"})(factory.get("/api/courses")),
        "entry": lambda: Plain.as_view({"get": "retrieve"})(factory.get("/api/courses/x"), slug=slug),
    }
    rows = []
    for page, view in pages.items():

        def request(view: Callable[[], Any] = view) -> None:
            connections["default"].close_if_unusable_or_obsolete()  # as Django does before each request
            response = view().render()
            assert response.status_code == 200

        times: dict[str, list[float]] = {name: [] for name in engines}
        gc.disable()  # a collection falls on whom it will; between the pairs it falls on nobody
        for number in range(WARM_UP + pairs):
            for name in random.sample(sorted(engines), 2):
                connections["default"] = engines[name]
                start = time.thread_time()
                request()
                if number >= WARM_UP:
                    times[name].append((time.thread_time() - start) * 1e6)
            if number % 20 == 0:
                gc.collect()
        connections["default"].force_debug_cursor = True
        connections["default"].queries_log.clear()
        request()
        queries = len(connections["default"].queries_log)
        connections["default"].force_debug_cursor = False
        ratios = [ours / theirs - 1 for ours, theirs in zip(times["guarded"], times["stock"], strict=True)]
        # What is left when nothing else ran on the processor meanwhile.
        fastest = {name: statistics.quantiles(spent, n=10)[0] for name, spent in times.items()}
        low, _, high = statistics.quantiles(ratios, n=4)
        rows.append(
            [
                *(database, page, str(queries)),
                *(f"{statistics.median(times[name]):.0f}" for name in ("stock", "guarded")),
                f"{statistics.median(ratios):+.1%} ({low:+.1%} to {high:+.1%})".replace("%", ""),
                f"{fastest['guarded'] / fastest['stock'] - 1:+.1%}".replace("%", ""),
            ]
        )
        print(f"{database}, {page}: {rows[-1][5]} %", file=sys.stderr, flush=True)
    for engine_in_use in engines.values():
        engine_in_use.close()
    return rows


def _djangos(engine: str) -> str:
    return engine.replace("resilience.db", "django.db.backends")


if __name__ == "__main__":
    main()
