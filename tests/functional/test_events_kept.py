"""Events come into the database once, whatever happens to the database and to the stewards that copy them."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from resilience.journal import events
from tests.functional.outages import Site, open_for
from tests.functional.test_steward_lost import closings, outage, seconds_until_closed
from tests.servers import PostgresServer
from tests.servers.site import ROOT

# Where a steward harms itself: `harm` is SIGKILL or SIGSTOP.
HARMED = """
import os, signal, sys
harm = getattr(signal, sys.argv[2])
from resilience.journal import flush
from resilience.journal.files import Journal

def before(function):
    def harmed(*args):
        os.write(1, b"harmed\\n")  # at once: what a server prints is written by a thread
        os.kill(os.getpid(), harm)
        return function(*args)
    return harmed

def after(function):
    def harmed(*args):
        result = function(*args)
        os.write(1, b"harmed\\n")  # at once: what a server prints is written by a thread
        os.kill(os.getpid(), harm)
        return result
    return harmed

flush.ROTATED_AT = 1
match sys.argv[1]:
    case "before_commit": flush._insert = before(flush._insert)
    case "after_commit": flush._insert = after(flush._insert)
    case "before_keeping": Journal.keep = before(Journal.keep)
    case "after_keeping": Journal.keep = after(Journal.keep)
    case "before_rotating": Journal.rotate = before(Journal.rotate)
for _ in range(3):
    flush.run(1)
"""
TAKE_OVER = """
from resilience.journal import flush
flush.ROTATED_AT = 1
for _ in range(3):
    flush.run(1)
"""
STEWARD = """
import time
from django.db import close_old_connections
from resilience.journal import flush
flush.ROTATED_AT = 20_000
while True:
    try:
        flush.run(1)
    except Exception as error:
        print(type(error).__name__, flush=True)
    close_old_connections()
    time.sleep(0.01)
"""
WRITER = """
import sys, time
from resilience.journal import events
for number in range(int(sys.argv[1])):
    assert events.record("drill", who=sys.argv[2], number=number)
    time.sleep(0.005)
"""


TRANSITION = re.compile(r'resilience.breaker", "message": "(\w+): (\w+) to (\w+),')


class Host:
    """Processes of one host, with a journal, and a database that they copy it into."""

    def __init__(self, database: str, folder: Path) -> None:
        self.database = database
        self.variables = {
            "DJANGO_SETTINGS_MODULE": "tests.functional.settings",
            "OUTAGE_OPEN_FOR": "0.2",
            "RESILIENCE_ROLE": "server",
            "DATABASE_URL": database,
            "RESILIENCE_DIR": str(folder / "store"),
            "RESILIENCE_EVENTS_DIR": str(folder / "events"),
            "SECRET_KEY": "only-for-tests-" + "0123456789" * 5,
            "ALLOWED_HOSTS": "localhost",
            "PYTHONPATH": str(ROOT),
            "PATH": os.environ["PATH"],
        }

    @contextmanager
    def process(self, code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        setup = "import django; django.setup()\n"
        with subprocess.Popen(
            [sys.executable, "-c", setup + code, *arguments],
            env=self.variables,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, code: str, *arguments: str) -> None:
        with self.process(code, *arguments) as process:
            assert process.wait(60) == 0

    def stored(self) -> Counter[tuple[str, int]]:
        """The drills in the database: who wrote them, and the how many-eth."""
        with psycopg.connect(self.database) as connection:
            rows = connection.execute(
                "SELECT who, data FROM resilience_event WHERE kind = 'drill'"
            ).fetchall()
        return Counter((who, data["number"]) for who, data in rows)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def migrated(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    host = Host(server.url, tmp_path_factory.mktemp("migrating"))
    host.run("from django.core.management import call_command; call_command('migrate', verbosity=0)")
    return urlsplit(server.url).path


@pytest.fixture
def host(
    server: PostgresServer, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Host]:
    host = Host(server.url, tmp_path)
    monkeypatch.setenv("RESILIENCE_EVENTS_DIR", host.variables["RESILIENCE_EVENTS_DIR"])
    yield host
    with psycopg.connect(server.url) as connection:
        connection.execute("TRUNCATE resilience_event")


def write(who: str) -> None:
    for number in range(20):
        assert events.record("drill", who=who, number=number)


def once(*writers: str, count: int) -> Counter[tuple[str, int]]:
    return Counter({(writer, number): 1 for writer in writers for number in range(count)})


WHERE = ["before_commit", "after_commit", "before_rotating", "before_keeping", "after_keeping"]


class TestAStewardInTheMiddleOfCopying:
    @pytest.mark.parametrize("where", WHERE)
    def test_that_is_killed_leaves_all_to_the_next(self, host: Host, where: str) -> None:
        write("ada")
        with host.process(HARMED, where, "SIGKILL") as steward:
            assert steward.wait(60) == -signal.SIGKILL
        write("bob")
        host.run(TAKE_OVER)
        assert host.stored() == once("ada", "bob", count=20)

    @pytest.mark.parametrize("where", WHERE)
    def test_that_is_stopped_adds_nothing_when_it_wakes_up(self, host: Host, where: str) -> None:
        write("ada")
        with host.process(HARMED, where, "SIGSTOP") as steward:
            assert steward.stdout is not None
            assert steward.stdout.readline() == "harmed\n"
            write("bob")
            host.run(TAKE_OVER)
            assert host.stored() == once("ada", "bob", count=20)
            while steward.poll() is None:
                steward.send_signal(signal.SIGCONT)
                time.sleep(0.01)
            assert steward.returncode == 0
        assert host.stored() == once("ada", "bob", count=20)


class TestAnOutage:
    def test_loses_and_doubles_nothing_among_many_processes(self, host: Host, server: PostgresServer) -> None:
        """Three write for some seconds; the database freezes and dies; stewards are killed and stopped."""
        chance = random.Random(7)  # noqa: S311
        with ExitStack() as stack:
            writers = [stack.enter_context(host.process(WRITER, "600", name)) for name in "abc"]
            stewards = [stack.enter_context(host.process(STEWARD)) for _ in range(2)]
            faults = iter([server.freeze, server.thaw, server.kill, server.start])
            harms = 0
            while any(writer.poll() is None for writer in writers):
                time.sleep(0.3)
                stewards[1].send_signal(chance.choice([signal.SIGSTOP, signal.SIGCONT]))
                if (harms := harms + 1) % 2 == 0:
                    stewards[0].kill()
                    stewards[0] = stack.enter_context(host.process(STEWARD))
                    next(faults, int)()
            for fault in faults:
                fault()
            assert harms >= 8
            assert [writer.returncode for writer in writers] == [0, 0, 0]
            stewards[1].send_signal(signal.SIGCONT)
            deadline = time.monotonic() + 30
            while len(host.stored()) < 1800 and time.monotonic() < deadline:
                time.sleep(0.1)
        assert host.stored() == once("a", "b", "c", count=600)


def test_each_transition_of_a_real_outage_is_stored_once_though_the_steward_is_killed(
    outage_site: Site,
) -> None:
    with outage(outage_site) as steward:
        before = closings(outage_site)
        os.kill(steward, signal.SIGKILL)
        time.sleep(open_for() + 1.0)  # probes fail
    seconds_until_closed(outage_site, before)
    logged: Counter[tuple[str, ...]] = Counter()
    stored: Counter[tuple[str, ...]] = Counter()
    deadline = time.monotonic() + 20
    while (not logged or stored != logged) and time.monotonic() < deadline:
        time.sleep(0.2)
        logged = Counter(TRANSITION.findall(outage_site.log.read_text()))
        with psycopg.connect(outage_site.server.url) as connection:
            # An order, which a command gives for another test of this site, is in that command's own log.
            rows = connection.execute(
                "SELECT breaker, data->>'before', data->>'after' FROM resilience_event "
                "WHERE kind = 'transition' AND data->'before' <> data->'after'"
            ).fetchall()
        stored = Counter(rows)
    assert sum(logged.values()) >= 4
    assert stored == logged
