"""Run Django's suites on Django's engines and on ours, and list what ends differently.

    python -m tests.django_suites [suite …]

The sources of the installed Django are fetched once, into `var/`. Exit status 1 when a test ends differently
that is not listed in `EXPECTED`, with its reason.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers import PostgresServer
from tests.sources import sources

ROOT = Path(__file__).resolve().parents[2]
SUITES = ["backends", "basic", "transactions", "transaction_hooks", "queries"]
ENGINES = {
    "django.db.backends.sqlite3": "resilience.db.sqlite3",
    "django.db.backends.postgresql": "resilience.db.postgresql",
}

# Tests that end differently on our engines, and why that is meant to be.
_SILENT = "the test catches what has ended a block and expects the block to end in silence; ours raises"
_KEPT = "between two uses a connection lies with the process, and is checked when it is taken"
_POOL = "`psycopg_pool` is not used: OPTIONS['pool'] bounds how many idle connections the process keeps"

EXPECTED: dict[str, str] = {
    f"{suite}.tests.{test}": _SILENT
    for suite, tests in {
        "transactions": [
            "AtomicErrorsTests.test_atomic_prevents_queries_in_broken_transaction",
            "AtomicErrorsTests.test_atomic_prevents_queries_in_broken_transaction_after_client_close",
            "AtomicInsideTransactionTests.test_failure_on_exit_transaction",
            "AtomicInsideTransactionTests.test_merged_commit_rollback",
            "AtomicMiscTests.test_mark_for_rollback_on_error_in_transaction",
            "AtomicTests.test_failure_on_exit_transaction",
            "AtomicTests.test_merged_commit_rollback",
            "AtomicWithoutAutocommitTests.test_failure_on_exit_transaction",
            "AtomicWithoutAutocommitTests.test_merged_commit_rollback",
        ],
        "transaction_hooks": [
            "TestConnectionOnCommit.test_hooks_cleared_on_reconnect",
            "TestConnectionOnCommit.test_no_savepoints_atomic_merged_with_outer",
        ],
    }.items()
    for test in tests
} | {
    f"backends.{test}": reason
    for reason, tests in {
        _KEPT: [
            f"base.test_base.ConnectionHealthChecksTests.{name}"
            for name in (
                "test_health_checks_disabled",
                "test_health_checks_enabled",
                "test_health_checks_enabled_errors_occurred",
                "test_set_autocommit_health_checks_enabled",
            )
        ],
        _POOL: [
            f"postgresql.tests.Tests.{name}"
            for name in (
                "test_connect_pool_set_to_true",
                "test_connect_pool_with_timezone",
                "test_pooling_health_checks",
                "test_pooling_not_support_persistent_connections",
            )
        ],
    }.items()
    for test in tests
}


def main(suites: list[str]) -> int:
    tests = sources("django") / "tests"
    unexpected = 0
    with PostgresServer() as server:
        for stock, ours in ENGINES.items():
            before, after = (_ends(tests, engine, server.url, suites) for engine in (stock, ours))
            differing = {test for test in before | after if before.get(test) != after.get(test)}
            failed = sum(end.startswith("failed:") for end in after.values())
            say(f"{ours}: {len(after)} tests, {failed} failed, {len(differing)} end differently")
            for test, end in sorted(after.items()):
                if end.startswith("failed:") and test not in differing:
                    say(f"  {test}\n    on both:  {end}")
            for test in sorted(differing):
                reason = EXPECTED.get(test)
                unexpected += reason is None
                say(f"  {test}\n    Django's: {before.get(test)}\n    ours:     {after.get(test)}")
                say(f"    {reason or 'UNEXPECTED'}")
    return 1 if unexpected else 0


def _ends(tests: Path, engine: str, url: str, suites: list[str]) -> dict[str, str]:
    """Return how each test ended, by id."""
    place = urlsplit(url)
    server = {
        "SUITE_NAME": "postgres",
        "SUITE_USER": str(place.username),
        "SUITE_PASSWORD": str(place.password),
        "SUITE_HOST": str(place.hostname),
        "SUITE_PORT": str(place.port),
    }
    with tempfile.TemporaryDirectory() as directory:
        results = Path(directory) / "results.json"
        environment = {
            **os.environ,
            **(server if engine.endswith("postgresql") else {}),
            "PYTHONPATH": str(ROOT),
            "RESILIENCE_ROLE": "server",
            "RESILIENCE_DIR": directory,
            "SUITE_ENGINE": engine,
            "SUITE_RESULTS": str(results),
        }
        options = ["--settings=tests.django_suites.settings", "--parallel=1", "--noinput", "--verbosity=0"]
        ran = subprocess.run(
            [sys.executable, "runtests.py", *options, *suites],
            cwd=tests,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if not results.exists():
            raise SystemExit(f"{engine}: the suites did not run\n{ran.stderr[-4000:]}")
        ends: dict[str, str] = json.loads(results.read_text())
        return ends


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or SUITES))
