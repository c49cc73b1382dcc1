"""The suite's own servers and databases."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
import redis
from django.contrib.auth.models import User
from django.db import connection

from tests.conftest import Database
from tests.servers import PostgresServer, RedisServer
from tests.servers.process import descendants, free_port

ROOT = Path(__file__).parents[1]


class TestPostgresServer:
    def test_answers_again_after_a_kill(self) -> None:
        with PostgresServer() as server:
            first = server.pid
            server.kill()
            assert not server.running
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(server.url)
            server.start()
            assert server.pid != first
            with psycopg.connect(server.url) as kept:
                assert kept.execute("SELECT 1").fetchone() == (1,)

    def test_is_silent_while_frozen_and_goes_on_when_thawed(self) -> None:
        with PostgresServer() as server, psycopg.connect(server.url) as kept:
            server.freeze()
            with pytest.raises(psycopg.errors.ConnectionTimeout):
                psycopg.connect(server.url, connect_timeout=2)
            server.thaw()
            assert kept.execute("SELECT 1").fetchone() == (1,)

    def test_keeps_its_rows_over_a_restart(self, postgres: PostgresServer) -> None:
        with psycopg.connect(postgres.url, autocommit=True) as before:
            before.execute("CREATE TABLE kept (id int)")
        postgres.restart()
        with psycopg.connect(postgres.url, autocommit=True) as after:
            after.execute("DROP TABLE kept")

    def test_has_trigrams(self, postgres: PostgresServer) -> None:
        with psycopg.connect(postgres.url, autocommit=True) as database:
            database.execute("CREATE EXTENSION pg_trgm")
            database.execute("DROP EXTENSION pg_trgm")


class TestRedisServer:
    def test_times_out_while_frozen(self) -> None:
        with RedisServer() as server:
            client = redis.Redis.from_url(server.url, socket_timeout=0.2, retry=None)
            client.set("key", "value")
            server.freeze()
            with pytest.raises(redis.TimeoutError):
                client.get("key")
            server.thaw()
            assert client.get("key") == b"value"
            client.close()


class TestAPort:
    def test_is_given_out_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its server may listen only later: until then nobody else is given it."""
        first = free_port()
        drawn = iter(range(first, first + 100))
        monkeypatch.setattr(random, "randrange", lambda *_: next(drawn))
        assert free_port() > first

    def test_is_refused_until_its_server_listens(self) -> None:
        port = free_port()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with (
            socket.create_server(("127.0.0.1", port)),
            socket.create_connection(("127.0.0.1", port)) as client,
        ):
            assert client.getpeername() == ("127.0.0.1", port)


class TestAServer:
    def test_is_not_taken_for_another_that_is_still_at_its_port(self) -> None:
        with RedisServer() as server:
            server.stop()
            with subprocess.Popen(server.command(), stdout=subprocess.DEVNULL) as before:
                while not server.answers():
                    time.sleep(0.02)
                ending = threading.Timer(0.5, before.terminate)
                ending.start()
                server.start()
                ending.join()
            assert server.running
            with redis.Redis.from_url(server.url) as client:
                assert client.info("server")["process_id"] == server.pid


class TestServersEndWithTheSuite:
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_whatever_ends_it(self, number: signal.Signals, tmp_path: Path) -> None:
        """A run of pytest that waits inside a test is ended; its server is gone soon after."""
        (tmp_path / "conftest.py").write_text("from tests.conftest import *")
        test = tmp_path / "test_waits.py"
        test.write_text(
            "import time\n"
            "def test_waits(redis_server):\n"
            "    print('pid', redis_server.pid, flush=True)\n"
            "    time.sleep(60)\n"
        )
        command = [sys.executable, "-m", "pytest", "-qs", "-p", "no:cacheprovider"]
        environment = os.environ | {"TMPDIR": str(tmp_path)}
        with subprocess.Popen(
            [*command, test], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        ) as run:
            assert run.stdout is not None
            pid = next(int(line.split()[-1]) for line in run.stdout if "pid " in line)
            run.send_signal(number)
            run.stdout.read()
        deadline = time.monotonic() + 10
        while _lives(pid):
            assert time.monotonic() < deadline, f"server {pid} outlived its suite"
            time.sleep(0.05)
        if number != signal.SIGKILL:
            assert not list(tmp_path.glob("zenow-*")), "its files are left"


@pytest.mark.django_db
class TestDatabases:
    def test_one_test_sees_both(self, postgresql: Database) -> None:
        User.objects.create(username="on-sqlite")
        assert connection.vendor == "sqlite"
        with postgresql():
            assert connection.vendor == "postgresql"
            assert not User.objects.exists()
            User.objects.create(username="on-postgresql")
        assert [user.username for user in User.objects.all()] == ["on-sqlite"]
        with postgresql():
            assert not User.objects.exists()

    def test_each_in_turn(self, on_both_databases: str) -> None:
        assert connection.vendor == on_both_databases
        User.objects.create(username="left-for-nobody")
        assert User.objects.count() == 1


def _lives(pid: int) -> bool:
    """Say whether a process is there; one that nobody has waited for yet is not."""
    try:
        os.kill(pid, 0)
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_killed_postgresql_leaves_neither_processes_nor_shared_memory() -> None:
    """Each session holds the memory until it has ended, which takes some of them longer than the first."""
    with PostgresServer() as server:
        for _ in range(4):
            server.start()
            with ExitStack() as sessions:
                for _ in range(30):
                    sessions.enter_context(closing(psycopg.connect(server.url)))
                segment = server.memory()
                assert segment in _segments()
                processes = [server.pid, *descendants(server.pid)]
                server.kill()
                assert [each for each in processes if _lives(each)] == []
                assert segment not in _segments()


def _segments() -> list[str]:
    return [line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()]
