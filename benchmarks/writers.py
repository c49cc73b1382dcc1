"""What writers of the catalogue lose to each other, where each COMMIT takes its time.

    python -m benchmarks.writers [--rounds 5] [--commit 5]

Processes write by the ORM, on the guarded engine of a server process, one transaction after the other. Each
COMMIT waits in the database, with its locks, as on a disk that is slow or for a standby that has to
confirm. Beside the catalogue version as it is stand the same writes without it (insert-only), and with all
writers in one row.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.tables import spread, table
from benchmarks.workers import Workers
from tests.servers import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
PROCESSES = (8, 40)
SECONDS = 3.0
PLAIN, ONE_ROW, OURS = "insert-only", "one row for all writers", "32 rows"
SLOW_COMMIT = """
    CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON learn_category
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow_commit();
"""


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--commit", type=float, default=5.0, help="how long a COMMIT takes, in ms")
    options = parser.parse_args()
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as directory, PostgresServer() as postgres:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "zenow.settings.base",
            "DATABASE_URL": postgres.url,
            "RESILIENCE_DIR": f"{directory}/store",
            "RESILIENCE_EVENTS_DIR": f"{directory}/events",
            "ALLOWED_HOSTS": "testserver",
            "SECRET_KEY": "only-for-benchmarks-" + "0123456789" * 5,
        }
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, check=True)
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(SLOW_COMMIT.format(seconds=options.commit / 1000))
        os.environ["RESILIENCE_ROLE"] = "server"
        import django
        from django.conf import settings

        from resilience.defaults import DEADLINES

        django.setup()
        # No writer shall fail where the machine is busy.
        settings.RESILIENCE["DEADLINES"] = dict.fromkeys(DEADLINES, 60.0)
        for processes in PROCESSES:
            rows += measure(processes, options.rounds)
    print(
        f"{options.rounds} rounds of {SECONDS:.0f} s each, in random order; medians, in brackets the slowest "
        "and the fastest round.\n"
        f"Each write is a transaction with one new row, and a COMMIT of {options.commit:g} ms.\n"
    )
    print(table(("processes", "catalogue version", "writes a second", "times insert-only"), rows))


def measure(processes: int, rounds: int) -> list[list[str]]:
    """Return the rows of one number of processes."""
    speeds: dict[str, list[float]] = {PLAIN: [], ONE_ROW: [], OURS: []}
    with Workers(processes, serve) as workers:
        workers.ask_all(OURS)  # Connections and rows are there from now on.
        for _ in range(rounds):
            for variant in random.sample(sorted(speeds), len(speeds)):
                speeds[variant].append(sum(workers.ask_all(variant)) / SECONDS)
                print(f"{processes}, {variant}: {speeds[variant][-1]:.0f}/s", file=sys.stderr, flush=True)
    return [
        [
            *(str(processes), variant, spread(found, ",.0f")),
            spread([one / plain for one, plain in zip(found, speeds[PLAIN], strict=True)], ".2f"),
        ]
        for variant, found in speeds.items()
    ]


def serve(connection: Connection, barrier: Barrier) -> None:
    """In one process: for each question write for a while, and answer the number of writes."""
    from django.db import transaction

    from learn.models import Category
    from resilience import registry
    from resilience.tiers import catalogue_version

    assert registry.is_server()
    usual = catalogue_version._RAISE
    module: Any = catalogue_version
    raises: Callable[..., None] = catalogue_version.raise_version
    numbers = count()
    while True:
        variant = connection.recv()
        module.raise_version = (lambda **_: None) if variant == PLAIN else raises
        module._RAISE = usual.replace("pg_backend_pid() %% 32 + 1", "1") if variant == ONE_ROW else usual
        barrier.wait()
        written, end = 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            with transaction.atomic():
                Category.objects.create(title=f"Writer {os.getpid()} {next(numbers)}")
            written += 1
        connection.send(written)


if __name__ == "__main__":
    main()
