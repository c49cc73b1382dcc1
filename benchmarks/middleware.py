"""What the first middleware costs: the same trivial view with and without it, in turn.

    python -m benchmarks.middleware [--rounds 9] [--requests 500]

Microseconds of the processor for one request through Django's handler and the project's middleware, by a
client in the process: no server and no network, so the share is as large as it can be.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["DJANGO_SETTINGS_MODULE"] = "zenow.settings.test"

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.test import RequestFactory, override_settings  # noqa: E402

from benchmarks.tables import spread, table  # noqa: E402
from resilience.primitives import HostStore  # noqa: E402
from resilience.testing import server_role  # noqa: E402

PATH = "/api/poolless"


def handler(middleware: list[str]) -> WSGIHandler:
    with override_settings(MIDDLEWARE=middleware):
        return WSGIHandler()


def time_one(app: WSGIHandler, requests: int) -> float:
    environ = RequestFactory().get(PATH).environ
    started = time.process_time()
    for _ in range(requests):
        app.get_response(app.request_class(dict(environ))).close()
    return (time.process_time() - started) / requests * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=500)
    options = parser.parse_args()
    first, *others = settings.MIDDLEWARE
    assert first == "resilience.middleware.ResilienceMiddleware"
    with tempfile.TemporaryDirectory() as folder:
        store = HostStore(Path(folder) / "store", "bench", role="server", create=True)
        with server_role(store), override_settings(ROOT_URLCONF="tests.resilience.outage_urls"):
            apps = {"without": handler(others), "with": handler([first, *others])}
            times: dict[str, list[float]] = {name: [] for name in apps}
            for number in range(options.rounds + 1):
                print(f"round {number} of {options.rounds}", file=sys.stderr)
                for name, app in apps.items():
                    taken = time_one(app, options.requests)
                    if number:  # the first one warms up
                        times[name].append(taken)
        store.close()
    pairs = [after - before for before, after in zip(times["without"], times["with"], strict=True)]
    print(f"{options.rounds} rounds of {options.requests} requests with and without it; processor time.\n")
    rows = ((name, spread(values)) for name, values in (*times.items(), ("difference", pairs)))
    print(table(("request through the project's middleware", "µs: median (lowest to highest round)"), rows))


if __name__ == "__main__":
    main()
