"""What holds the socket replaces, drains and ends the server behind it; real processes."""

import errno
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from tests.servers.process import children_of
from tests.servers.site import SiteServer
from tests.starving import no_threads
from zenow.server.children import Server
from zenow.server.listening import Listeners
from zenow.server.supervisor import Supervisor


def using(folder: Path) -> list[str]:
    """Return the processes whose environment names a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if bytes(folder) in (process / "environ").read_bytes():
                found.append(process.name)
    return found


def eventually(what: Callable[[], bool], site: SiteServer) -> None:
    """Wait until it holds; far longer than it ever takes."""
    limit = time.monotonic() + 40
    while not what():
        assert time.monotonic() < limit, site.log.read_text()[-3000:]
        time.sleep(0.05)


def runs(pid: int) -> bool:
    """Say whether a process is alive; one that nobody has waited for is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def connection_after(connection: http.client.HTTPConnection) -> str | None:
    """Ask, and return what the answer says of the connection."""
    connection.request("GET", "/api/health")
    response = connection.getresponse()
    response.read()
    assert response.status == 200
    return response.headers["Connection"]


class TestReplacing:
    def test_leaves_the_server_alone_when_its_successor_does_not_come_up(self, tmp_path: Path) -> None:
        broken = tmp_path / "broken"
        with SiteServer(
            workers=1,
            DJANGO_SETTINGS_MODULE="tests.zenow.server.broken_settings",
            BROKEN_WHILE_THERE_IS=str(broken),
        ) as site:
            old = site.servers()
            broken.touch()
            os.kill(site.pid, signal.SIGHUP)
            eventually(lambda: "ended before it was up" in site.log.read_text(), site)
            assert site.servers() == old
            assert site.get("/api/health").status == 200

            broken.unlink()
            site.roll()
            assert not set(old) & set(site.servers())
            assert site.get("/api/health").status == 200

    def test_gives_new_connections_to_the_successor_and_ends_the_old_ones_after_an_answer(self) -> None:
        with SiteServer(workers=1, DRAIN_SECONDS="600") as site:
            (old,) = site.servers()
            kept = http.client.HTTPConnection("127.0.0.1", site.port, timeout=40)
            assert connection_after(kept) is None
            os.kill(site.pid, signal.SIGHUP)
            eventually(lambda: "retiring: no new connections" in site.log.read_text(), site)
            assert runs(old)
            assert [site.get("/api/health").headers["Connection"] for _ in range(20)] == [None] * 20
            assert connection_after(kept) == "close"
            site.stop_signal = signal.SIGINT  # Nobody needs to be drained.


class TestDeadWorker:
    def test_gets_no_connections_until_there_is_another(self) -> None:
        with SiteServer(workers=2) as site:
            (server,) = site.servers()
            eventually(lambda: site.log.read_text().count("is up") == 2, site)
            dead = site.workers()[0]
            os.kill(server, signal.SIGSTOP)  # It starts no other one.
            os.kill(dead, signal.SIGKILL)
            eventually(lambda: f"process {dead}, ended" in site.log.read_text(), site)
            # In the dead one's queue they would wait until their time is out.
            assert {site.get("/api/health").status for _ in range(12)} == {200}
            os.kill(server, signal.SIGCONT)
            eventually(lambda: dead not in site.workers() and len(site.workers()) == 2, site)
            assert {site.get("/api/health").status for _ in range(12)} == {200}


def is_ready(site: SiteServer) -> bool:
    """Say what a load balancer hears from all the workers."""
    return {site.get("/api/health/ready").status for _ in range(12)} == {200}


class TestDrain:
    """A drain is a fact of one server, and ends with its process; the file `drain` is an order for the host.

    Of the kind: two servers on one store, SIGTERM and SIGKILL in the middle of a drain, a worker that starts
    during one, the operator's file across starts, stops, replacements and another server's drain.
    """

    def test_is_that_of_one_server_of_the_host_and_ends_with_it(self) -> None:
        with SiteServer(workers=1, DRAIN_SECONDS="600") as site:
            store = site.variables["RESILIENCE_DIR"]
            with SiteServer(workers=1, RESILIENCE_DIR=store, DRAIN_SECONDS="600") as drained:
                eventually(lambda: is_ready(site) and is_ready(drained), site)
                os.kill(drained.pid, signal.SIGTERM)
                eventually(lambda: "draining" in drained.get("/api/health/ready").body, drained)
                assert is_ready(site)
                # One that starts in the middle of it knows as well.
                (worker,) = drained.workers()
                os.kill(worker, signal.SIGKILL)
                eventually(lambda: drained.workers() not in ([], [worker]), drained)
                eventually(lambda: "draining" in drained.get("/api/health/ready", timeout=40).body, drained)
                drained.kill()
            assert is_ready(site)
            site.stop_signal = signal.SIGINT

    def test_ordered_for_the_host_outlives_starts_and_stops(self) -> None:
        with SiteServer(workers=1) as site:
            drain = Path(site.variables["RESILIENCE_DIR"]) / "drain"
            eventually(lambda: is_ready(site), site)
            drain.touch()
            assert not is_ready(site)
            with SiteServer(workers=1, RESILIENCE_DIR=str(drain.parent)) as other:
                assert not is_ready(other)
            assert not is_ready(site)
            drain.unlink()
            assert is_ready(site)


class TestDyingWhileBeingReplaced:
    """Of the kind: the successor comes up; it does not; the supervisor is told to end meanwhile."""

    @pytest.fixture
    def broken(self, tmp_path: Path) -> Iterator[SiteServer]:
        """A site whose server was killed while its successor was starting."""
        slow = tmp_path / "slow"
        with SiteServer(
            workers=1, DJANGO_SETTINGS_MODULE="tests.zenow.server.hanging", SLOW_WHILE_THERE_IS=str(slow)
        ) as site:
            (old,) = site.servers()
            slow.touch()
            os.kill(site.pid, signal.SIGHUP)
            eventually(lambda: len(site.servers()) == 2, site)
            os.kill(old, signal.SIGKILL)
            eventually(lambda: "ended by itself" in site.log.read_text(), site)
            slow.unlink()
            yield site

    def test_its_successor_answers_whoever_has_come_meanwhile(self, broken: SiteServer) -> None:
        # The one that began while there was the file still hangs: a worker in its place does not.
        (successor,) = broken.servers()
        eventually(lambda: children_of(successor) != [], broken)
        for worker in children_of(successor):
            os.kill(worker, signal.SIGKILL)
        assert broken.get("/api/health/live", timeout=40).status == 200
        assert broken.servers() == [successor]

    def test_it_ends_as_the_first_did_when_its_successor_does_not_come_up(self, broken: SiteServer) -> None:
        process = broken._process
        assert process is not None
        os.kill(broken.servers()[0], signal.SIGKILL)
        assert process.wait(40) == 128 + signal.SIGKILL

    def test_it_ends_when_told_to(self, broken: SiteServer) -> None:
        os.kill(broken.pid, signal.SIGTERM)
        eventually(lambda: not broken.running, broken)


class TestEnding:
    def test_drains_first_and_at_once_when_told_twice(self) -> None:
        with SiteServer(workers=1, DRAIN_SECONDS="600") as site:
            process, worker = site.pid, site.workers()[0]
            eventually(lambda: is_ready(site), site)
            os.kill(process, signal.SIGTERM)
            eventually(lambda: site.get("/api/health/ready").status == 503, site)
            assert site.get("/api/health").status == 200
            os.kill(process, signal.SIGTERM)
            eventually(lambda: not site.running, site)
            assert not runs(worker)

    def test_leaves_nobody_behind_when_killed(self) -> None:
        with SiteServer(workers=1) as site:
            (server,), (worker,) = site.servers(), site.workers()
            os.kill(site.pid, signal.SIGKILL)
            eventually(lambda: not runs(server) and not runs(worker), site)

    def test_leaves_no_worker_behind_when_the_server_is_killed(self) -> None:
        with SiteServer(workers=1) as site:
            (server,), (worker,) = site.servers(), site.workers()
            os.kill(server, signal.SIGKILL)
            eventually(lambda: not site.running and not runs(worker), site)

    def test_leaves_no_worker_behind_that_cannot_end_when_all_above_it_are_killed(self) -> None:
        """Its server would kill it, but that is dead; so the worker kills itself."""
        settings = "tests.zenow.server.hanging"
        with (
            SiteServer(workers=1, DJANGO_SETTINGS_MODULE=settings) as site,
            socket.create_connection(("127.0.0.1", site.port)) as client,
        ):
            (server,), (worker,) = site.servers(), site.workers()
            client.sendall(b"GET /hang/thread HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(0.5)  # so that it is read
            for above in (site.pid, server):
                os.kill(above, signal.SIGKILL)
            try:
                eventually(lambda: not runs(worker), site)
            finally:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
                # What the worker has started ends a moment after it, and could make the site's folder again.
                eventually(lambda: not using(site.directory), site)


class TestWantOfThreadsOrProcesses:
    """A container may have as many as it is given: what its workers use up, the supervisor lacks."""

    def test_leaves_no_descriptor_open(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> NoReturn:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

        with Listeners("127.0.0.1", 0, count=1) as listeners:
            before = len(list(Path("/proc/self/fd").iterdir()))
            monkeypatch.setattr(subprocess, "Popen", refuse)
            with pytest.raises(BlockingIOError):
                Server(listeners, 1)

            assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_leaves_the_servers_alone(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        with Listeners("127.0.0.1", 0, count=1) as listeners:
            supervisor = Supervisor(
                listeners, workers=1, drain_seconds=0.0, question=b"", tell=lambda what, why: None
            )
            server = Server(listeners, 1)
            try:
                with no_threads(monkeypatch):
                    supervisor._orders.put(partial(supervisor._worker_is_up, server, 0, server.pid))
                    supervisor._obey_next()
                    supervisor._orders.put(supervisor._replace)
                    supervisor._obey_next()
                (successor,) = supervisor._running

                assert not server.workers
                assert caplog.text.count("the servers go on") == 2
                assert server.status() is None
                assert successor._process.wait(40) != 0  # Nobody hears of its workers: it was told to end.
            finally:
                server.kill()
                for one in (server, *supervisor._running):
                    one._process.wait(40)
                    one.forget()
                    one._said.close()
