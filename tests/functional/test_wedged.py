"""A worker that hangs is passed by, ended and replaced; one that starves is left alone.

Of the kind: a worker stopped by a signal; its interpreter's lock kept in C code that sleeps, or that turns in
a circle; each of its threads in wait for a lock; all that with database and cache dead; the server process,
which replaces workers, stopped itself; a worker stopped for less than it takes to end it; a worker stopped
while its server is being replaced; workers that hardly get a processor; supervisor and workers stopped
together and let go again, as by a paused machine; all threads in wait for a silent database. `make wedged`
tries all of them, `make test` the first one.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.patience import ROOM
from tests.servers.process import descendants, free_port
from tests.servers.site import SiteServer
from tests.zenow.server.test_supervisor import eventually

long = pytest.mark.proof("WEDGED")

# Seconds from the moment at which a worker hangs; and how long an answer may take where nobody hangs.
PASSED_BY, ENDED, REPLACED = 3.0 + 4 * ROOM, 6.0 + 4 * ROOM, 10.0 + 20 * ROOM
ANSWER = 2.5 + 4 * ROOM
THREADS = 16
_number = itertools.count()
_asking: list[socket.socket] = []  # by this test


class Asked(NamedTuple):
    """One request, by the clock: how it ended, or None while it has not."""

    kept: bool
    began: float
    ended: float
    status: int | None


class Clients:
    """Some who keep their connection, and some who make a new one for each request."""

    def __init__(self, site: SiteServer, *, kept: int = 6, new: int = 4) -> None:
        self.asked: list[Asked] = []
        self._site = site
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(keeps,), daemon=True)
            for keeps in [True] * kept + [False] * new
        ]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, keeps: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._site.port, timeout=30)
        while not self._stop.wait(0.05):
            began, status = time.monotonic(), None
            try:
                connection.request("GET", f"/api/courses?page_size={next(_number) % 97 + 1}")
                response = connection.getresponse()
                response.read()
                status = response.status
            except (OSError, http.client.HTTPException):
                connection.close()
            self.asked.append(Asked(keeps, began, time.monotonic(), status))
            if not keeps:
                connection.close()
        connection.close()

    def hang(self, since: float) -> list[Asked]:
        """Return requests that had no answer, or not in time, later than they may after a worker hung."""
        return [
            one
            for one in self.asked
            if not _is_well(one)
            and (one.ended > since + ENDED if one.kept else one.began > since + PASSED_BY)
        ]


def _is_well(one: Asked) -> bool:
    return one.status == 200 and one.ended - one.began < ANSWER


def dead_addresses() -> dict[str, str]:
    """Return where neither database nor cache is."""
    return {
        "DATABASE_URL": f"postgres://nobody:nothing@127.0.0.1:{free_port()}/none",
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
    }


@contextmanager
def running(**variables: str) -> Iterator[SiteServer]:
    """Run a site of two workers that can be made to hang, with the static copy in place."""
    variables = {"DJANGO_SETTINGS_MODULE": "tests.zenow.server.hanging", **variables}
    site = SiteServer(workers=2, threads=THREADS, **variables)
    for command in (["migrate"], ["fallback", "build"]):
        if command == ["migrate"] and "DATABASE_URL" in variables:
            continue
        ran = site.manage(*command, "--verbosity=0")
        assert ran.returncode == 0, ran.stderr
    with site:
        eventually(lambda: site.log.read_text().count("is up") == 2, site)
        eventually(lambda: site.get("/api/courses").status == 200, site)
        yield site


@pytest.fixture(autouse=True)
def _no_connection_left_open() -> Iterator[None]:
    yield
    while _asking:
        _asking.pop().close()


def send_to_first_worker(site: SiteServer, path: str, times: int = 1) -> None:
    """Ask, without waiting for answers. Who comes from this address comes to the first worker."""
    for _ in range(times):
        asking = socket.create_connection(("127.0.0.1", site.port), source_address=("127.90.0.0", 0))
        _asking.append(asking)
        asking.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def said(site: SiteServer, word: str) -> list[str]:
    """Return what the log says of workers that hang."""
    return [line for line in site.log.read_text().splitlines() if word in line and "supervisor" in line]


def told(site: SiteServer) -> list[str]:
    """Return why processes hung, by the host's journal."""
    journal = f"{site.variables['RESILIENCE_EVENTS_DIR']}/events.jsonl"
    with open(journal) as lines:  # noqa: PTH123
        events = [json.loads(line) for line in lines if line.strip()]
    return [event["why"] for event in events if event["kind"] == "wedged"]


Hang = Callable[[SiteServer, int], None]
WAYS: dict[str, Hang] = {
    "stopped": lambda site, pid: os.kill(pid, signal.SIGSTOP),
    "interpreter": lambda site, pid: send_to_first_worker(site, "/hang/interpreter"),
    "pattern": lambda site, pid: send_to_first_worker(site, "/hang/pattern"),
    "threads": lambda site, pid: send_to_first_worker(site, "/hang/thread", THREADS),
}


class TestWedged:
    @pytest.mark.parametrize(
        ("way", "dead"),
        [
            ("stopped", True),
            *(
                pytest.param(way, dead, marks=long)
                for way in WAYS
                for dead in (False, True)
                if (way, dead) != ("stopped", True)
            ),
        ],
    )
    def test_is_passed_by_and_replaced_under_load(self, way: str, dead: bool) -> None:
        with running(**(dead_addresses() if dead else {})) as site:
            first = min(site.workers())  # started first, so it is the first
            with Clients(site) as clients:
                eventually(lambda: len(clients.asked) > 40, site)
                time.sleep(6.0 if os.environ.get("WEDGED") else 0.0)  # Younger than that, none is ended.
                since = time.monotonic()
                WAYS[way](site, first)
                eventually(lambda: first not in site.workers() and len(site.workers()) == 2, site)
                eventually(lambda: site.log.read_text().count("is up") == 3, site)
                replaced = time.monotonic() - since
                time.sleep(1.0)
            assert clients.hang(since) == []
            assert len(clients.asked) > 200
            assert replaced < REPLACED
            (line,) = said(site, "was killed")
            assert f"process {first}" in line
            (event,) = told(site)
            assert f"process {first}: it " in event

    @long
    @pytest.mark.parametrize("seconds", [1.0, 3.2])
    def test_is_left_alone_when_it_goes_on_in_time(self, seconds: float) -> None:
        with running() as site:
            time.sleep(6.0)
            workers = site.workers()
            os.kill(workers[0], signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(workers[0], signal.SIGCONT)
            time.sleep(8.0)
            assert site.workers() == workers
            assert told(site) == []
            assert len(said(site, "hangs")) == len(said(site, "answers again")) == (seconds > 2)
            assert {site.get("/api/health/live").status for _ in range(20)} == {200}

    @long
    @pytest.mark.parametrize("later", [0.0, 1.0, 2.5])
    def test_is_ended_while_its_server_is_being_replaced(self, later: float) -> None:
        with running(DRAIN_SECONDS="30") as site:
            time.sleep(6.0)
            first = min(site.workers())
            os.kill(first, signal.SIGSTOP)
            since = time.monotonic()
            time.sleep(later)
            os.kill(site.pid, signal.SIGHUP)
            eventually(lambda: said(site, "was killed") != [], site)
            assert time.monotonic() - since < ENDED
            assert said(site, "answers again") == []
            assert {site.get("/api/health/live").status for _ in range(20)} == {200}
            site.stop_signal = signal.SIGINT

    @long
    def test_server_process_is_replaced_without_a_failure(self) -> None:
        with running() as site:
            (server,) = site.servers()
            os.kill(server, signal.SIGSTOP)
            with Clients(site) as clients:
                eventually(lambda: site.servers() not in ([], [server]), site)
                eventually(lambda: server not in site.servers(), site)
                time.sleep(2.0)
            assert {one.status for one in clients.asked if not one.kept} == {200}
            assert len(site.workers()) == 2
            assert told(site) == [f"server {server}: it was stopped"]

    @long
    def test_all_at_once_they_are_replaced(self) -> None:
        with running() as site:
            time.sleep(6.0)
            workers = site.workers()
            for worker in workers:
                os.kill(worker, signal.SIGSTOP)
            eventually(lambda: site.log.read_text().count("is up") == 4, site)
            assert {site.get("/api/health/live").status for _ in range(20)} == {200}
            assert not set(workers) & set(site.workers())

    @long
    def test_is_replaced_by_a_successor_when_no_other_starts(self, tmp_path: Path) -> None:
        with running(SLOW_WHILE_THERE_IS=str(tmp_path / "slow")) as site:
            (tmp_path / "slow").touch()
            (server,) = site.servers()
            os.kill(min(site.workers()), signal.SIGKILL)
            limit = time.monotonic() + 90
            while not told(site) and time.monotonic() < limit:
                time.sleep(0.1)
            (tmp_path / "slow").unlink()
            eventually(lambda: server not in site.servers(), site)
            assert told(site) == [f"server {server}: it starts no worker in place of one that ended"]
            assert len(site.workers()) == 2

    @long
    def test_without_descriptors_it_is_passed_by_and_goes_on_with_what_it_has(self) -> None:
        with running() as site:
            workers, first = site.workers(), min(site.workers())
            with Clients(site) as clients:
                eventually(lambda: len(clients.asked) > 40, site)
                usual = resource.prlimit(first, resource.RLIMIT_NOFILE)
                resource.prlimit(first, resource.RLIMIT_NOFILE, (12, usual[1]))
                since = time.monotonic()
                time.sleep(12.0)
                resource.prlimit(first, resource.RLIMIT_NOFILE, usual)
                eventually(lambda: said(site, "answers again") != [], site)
            assert [one for one in clients.hang(since) if not one.kept] == []
            assert site.workers() == workers


class TestNotWedged:
    @long
    @pytest.mark.timeout(200)
    def test_starving_for_a_minute_it_is_left_alone(self) -> None:
        """Each thread of it runs only when nobody else wants the processor, and two want all of it."""
        with running() as site:
            workers, starving = site.workers(), site.workers()[0]
            for thread in map(int, os.listdir(f"/proc/{starving}/task")):  # noqa: PTH208
                os.sched_setaffinity(thread, {0})
                os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
            busy = "import os, time\nos.sched_setaffinity(0, {0})\nwhile time.monotonic() < %f: pass"
            until = time.monotonic() + 60.0
            neighbours = [subprocess.Popen([sys.executable, "-c", busy % until]) for _ in range(2)]
            with Clients(site):
                for neighbour in neighbours:
                    neighbour.wait()
            assert site.workers() == workers
            assert said(site, "hangs") == []

    @long
    def test_when_all_were_stopped_together_for_a_while(self) -> None:
        with running() as site:
            workers = site.workers()
            everybody = [site.pid, *descendants(site.pid)]
            time.sleep(6.0)
            for pid in everybody:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(20.0)
            for pid in everybody:
                os.kill(pid, signal.SIGCONT)
            time.sleep(8.0)
            assert site.workers() == workers
            assert said(site, "hangs") == []

    @long
    def test_waiting_for_a_silent_database_with_all_its_threads(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            with running(
                **dead_addresses() | {"DATABASE_URL": f"postgres://a:b@127.0.0.1:{port}/none"}
            ) as site:
                workers = site.workers()
                with Clients(site, kept=20, new=20):
                    time.sleep(15.0)
                assert site.workers() == workers
                assert said(site, "hangs") == []
