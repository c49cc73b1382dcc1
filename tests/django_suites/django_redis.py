"""Run django-redis' own suite behind the guard: `python -m tests.django_suites.django_redis`.

The sources of the installed django-redis are fetched once, into `var/`. Its suite runs with the first of its
settings, on a server of our own. Exit status 1 when a test fails that is not listed in `EXPECTED`, with its
reason, or does not fail though it is.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tests.servers import RedisServer
from tests.sources import KEPT, PIP, sources

ROOT = Path(__file__).resolve().parents[2]

# The plugin of pytest that the suite needs; fetched by pip on first use.
PLUGIN = "pytest-mock==3.15.1"

_JSON = "an Enum comes back as none from JSON; with VALUES = 'signed' it does"
_MADE = "it changes the OPTIONS of a cache that was made before; ours keeps those with which it was made"
_TOLD = "IGNORE_EXCEPTIONS is refused: errors must reach the breaker, and no caller sees them in any case"

# The tests that fail, and why that is meant to be.
EXPECTED: dict[str, str] = {
    "tests.test_backend.TestDjangoRedisCache.test_intenum[sqlite]": _JSON,
    "tests.test_client.TestClientClose.test_close_disconnect_settings_cache[sqlite]": _MADE,
} | {
    f"tests.test_cache_options.test_get_django_omit_exceptions{which}": _TOLD
    for which in ("", "_many_returns_default_arg", "_priority_1", "_priority_2")
}


def main() -> int:
    with RedisServer() as server:
        ends = _ends(sources("django-redis") / "tests", server)
    failed = {test: end for test, end in ends.items() if end != "passed"}
    unexpected = {test: end for test, end in failed.items() if test not in EXPECTED}
    outdated = [test for test in EXPECTED if test not in failed]
    passed = len(ends) - len(failed)
    say(f"{len(ends)} tests: {passed} passed, {len(failed)} failed, {len(unexpected)} of them unexpectedly")
    for test, end in sorted(failed.items()):
        say(f"  {test}\n    {end}\n    {EXPECTED.get(test, 'UNEXPECTED')}")
    for test in outdated:
        say(f"  {test}\n    is listed, and does not fail")
    return 1 if unexpected or outdated or not ends else 0


def _ends(suite: Path, server: RedisServer) -> dict[str, str]:
    """Return how each test ended, by its name."""
    with tempfile.TemporaryDirectory() as directory:
        # Their package of tests has the name of ours. So it runs apart, beside nothing of ours but the app.
        place = Path(directory)
        shutil.copytree(suite, place / "tests")
        settings = place / "tests" / "settings"
        (settings / "sqlite.py").rename(settings / "theirs.py")
        shutil.copy(Path(__file__).with_name("django_redis_settings.py"), settings / "sqlite.py")
        (place / "resilience").symlink_to(ROOT / "resilience")
        results = place / "results.xml"
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-c", os.devnull, f"--rootdir={directory}"),
                *("-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:django", "-p", "pytest_mock"),
                *("-k", "not sqlite_", f"--junit-xml={results}", "tests"),
            ],
            cwd=directory,
            env={
                **os.environ,
                "PYTHONPATH": f"{directory}:{_plugin()}",
                "RESILIENCE_ROLE": "server",
                "RESILIENCE_DIR": f"{directory}/store",
                "RESILIENCE_EVENTS_DIR": f"{directory}/events",
                "SUITE_REDIS": str(server.port),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if not results.exists():
            raise SystemExit(f"the suite did not run\n{ran.stdout[-4000:]}\n{ran.stderr[-4000:]}")
        # The file is pytest's own.
        cases = ElementTree.parse(results).iter("testcase")  # noqa: S314
        return {f"{case.get('classname')}.{case.get('name')}": _end(case) for case in cases}


def _plugin() -> Path:
    """Return the folder that holds the plugin."""
    folder = KEPT / PLUGIN.replace("==", "-")
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=KEPT) as fetched:
            command = [*PIP, "install", "--no-deps", "--target", f"{fetched}/plugin", PLUGIN]
            subprocess.run(command, check=True, timeout=300)
            Path(fetched, "plugin").rename(folder)
    return folder


def _end(case: ElementTree.Element) -> str:
    for kind in ("failure", "error", "skipped"):
        if (found := case.find(kind)) is not None:
            return f"{kind}: {(found.get('message') or '').partition(chr(10))[0][:200]}"
    return "passed"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
